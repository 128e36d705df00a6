"""From measured demands to what a target would need, as intervals: servers, memory, storage, network and money."""

from fathom.lab.scale.degrees import Degrees, Pareto, Shares

__all__ = ["Degrees", "Pareto", "Shares"]
