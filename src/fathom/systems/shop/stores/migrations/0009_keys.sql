-- Those of a day are many, and those without an answer few: they are looked for every second, and by what they were for.

CREATE INDEX keys_unanswered ON keys (effect) WHERE answer IS NULL
