"""Place names without a network: a position -> the town that it lies in, and a name -> positions.

The table is GeoNames' (https://www.geonames.org, CC BY 4.0): towns of 500 inhabitants and more, written by
`python -m train places` into places.npz: for each town its name, country, division (named in the United States only),
population and position; other names of large cities; the countries.
"""

import functools
import math
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from photosearch.metadata.countries import OTHER_COUNTRY_NAMES

TABLE = Path(__file__).with_name("places.npz")
MAX_DISTANCE_KM = 60.0  # from the nearest town; farther away a position has no place: at sea, in a desert
WIDER_POPULATION = 100_000  # of a city that names the region around it
RADIUS_KM = 0.007  # of a town, times the square root of its population ...
MIN_RADIUS_KM = 0.3  # ... and at least
LINE_FEED = 10
KM_PER_DEGREE = 111.195  # of latitude, on a sphere
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "ß": "ss", "æ": "ae", "œ": "oe", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "-": " ", "’": "'"}
)


@dataclass(frozen=True, slots=True)
class Place:
    """A town. division: the first-level one, empty where the table names none. latitude, longitude: degrees.

    wider: the most populous city around it, itself included; empty where none of WIDER_POPULATION is within
    MAX_DISTANCE_KM.
    """

    name: str
    division: str
    country_code: str
    country: str
    population: int
    latitude: float
    longitude: float
    wider: str = ""


class Places:
    """GeoNames' towns. Arrays, one entry a town, sorted by latitude; `open_places` opens the tool's own."""

    def __init__(self, table: Path):
        with np.load(table, allow_pickle=False) as stored:
            self._latitude: npt.NDArray[np.float64] = stored["latitude"] / 1e4
            self._longitude: npt.NDArray[np.float64] = stored["longitude"] / 1e4
            self._population: npt.NDArray[np.uint32] = stored["population"]
            self._country, self._division = stored["country"], stored["division"]
            self._names = stored["names"].tobytes()
            self._ends = np.append(np.flatnonzero(stored["names"] == LINE_FEED), len(self._names))
            self._countries = [line.split("\t") for line in _read_lines(stored["countries"])]
            self._divisions = _read_lines(stored["divisions"])
            self._other_names = _read_lines(stored["other_names"])

    def locate(self, latitude: float, longitude: float) -> Place | None:
        """The town that a position in degrees lies in, or near; None farther than MAX_DISTANCE_KM from all.

        A large town reaches farther than a small one: the Eiffel Tower is in Paris, though the centre of Vanves is
        nearer. Raises ValueError for degrees that no position has.
        """
        if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
            raise ValueError(f"no position: {latitude}, {longitude}")
        near, distances = self._list_near(latitude, longitude)
        if not len(near):
            return None
        radius = np.maximum(RADIUS_KM * np.sqrt(self._population[near]), MIN_RADIUS_KM)
        best = int(np.lexsort((distances / radius, np.maximum(distances - radius, 0)))[0])
        return self._make(int(near[best]), self._find_wider(int(near[best]), near, distances / radius))

    def find(self, name: str) -> list[Place]:
        """The towns of a name, letter case and accents aside, the most populous first."""
        folded = fold_name(name)
        if not folded:
            return []
        towns = {self._folded.count(b"\n", 0, m.start() + 1) - 1
                 for m in re.finditer(rb"\n(?=%s\n)" % re.escape(folded.encode()), self._folded)}  # fmt: skip
        others = re.finditer(rb"\t%s(?=[\t\n])" % re.escape(folded.encode()), self._folded_others)
        towns |= {int(self._other_names[self._folded_others.count(b"\n", 0, m.start())].partition("\t")[0])
                  for m in others}  # fmt: skip
        return [self._make(i) for i in sorted(towns, key=lambda i: -int(self._population[i]))]

    def find_country(self, name: str) -> str | None:
        """A country's name, code or other name -> the name that places have; None where it is none."""
        folded = fold_name(name).replace(".", "")
        known = OTHER_COUNTRY_NAMES.get(folded) or OTHER_COUNTRY_NAMES.get(folded.removeprefix("the "))
        return known or self._country_names.get(folded.removeprefix("the "))

    @functools.cached_property
    def _country_names(self) -> dict[str, str]:
        """Folded, without an article -> as places have it."""
        return {fold_name(country).removeprefix("the "): country for _, country in self._countries}

    @functools.cached_property
    def _folded(self) -> bytes:
        """All names as they are compared, in order, each between line feeds."""
        return b"\n" + _fold(self._names.decode()).encode() + b"\n"

    @functools.cached_property
    def _folded_others(self) -> bytes:
        """The towns' other names as they are compared: a line each, with tabs between."""
        return _fold("\n".join(self._other_names)).encode() + b"\n"

    def _list_near(self, latitude: float, longitude: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """The towns within MAX_DISTANCE_KM, and their distances."""
        reach = MAX_DISTANCE_KM / KM_PER_DEGREE
        low, high = np.searchsorted(self._latitude, (latitude - reach, latitude + reach))
        apart = np.abs(self._longitude[low:high] - longitude)
        widest = reach / math.cos(math.radians(min(abs(latitude) + reach, 89.9)))
        near = np.flatnonzero(np.minimum(apart, 360 - apart) <= widest) + low
        distances = measure_km(latitude, longitude, self._latitude[near], self._longitude[near])
        close = distances <= MAX_DISTANCE_KM
        return near[close], distances[close]

    def _find_wider(self, town: int, near: npt.NDArray[np.int64], reach: npt.NDArray[np.float64]) -> str:
        """reach: the distances of the towns near, in radii of each."""
        large = (self._population[near] >= WIDER_POPULATION) & (self._country[near] == self._country[town])
        if not large.any():
            return ""
        inside = large & (reach <= 2)
        if inside.any():
            return self._name(int(near[inside][self._population[near[inside]].argmax()]))
        return self._name(int(near[large][reach[large].argmin()]))

    def _name(self, i: int) -> str:
        name: bytes = self._names[int(self._ends[i - 1]) + 1 if i else 0 : int(self._ends[i])]
        return name.decode()

    def _make(self, i: int, wider: str = "") -> Place:
        code, country = self._countries[int(self._country[i])]
        division = self._divisions[int(self._division[i])]
        return Place(self._name(i), division, code, country, int(self._population[i]), float(self._latitude[i]),
                     float(self._longitude[i]), wider)  # fmt: skip


@functools.lru_cache(maxsize=1)
def open_places(table: Path = TABLE) -> Places:
    """The table that comes with the tool."""
    return Places(table)


def locate_photo(latitude: float, longitude: float) -> Place | None:
    """The town of a position in degrees, from the tool's table; looked up once for all positions within 11 m."""
    return _locate(round(latitude, 4), round(longitude, 4))


@functools.lru_cache(maxsize=100_000)
def _locate(latitude: float, longitude: float) -> Place | None:
    return open_places().locate(latitude, longitude)


def measure_km(
    latitude: float, longitude: float, latitudes: npt.NDArray[np.float64], longitudes: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Distances on a sphere, in kilometres (haversine), from a position to others, all in degrees."""
    phi, phis = math.radians(latitude), np.radians(latitudes)
    a = np.sin((phis - phi) / 2) ** 2
    a += math.cos(phi) * np.cos(phis) * np.sin(np.radians(longitudes - longitude) / 2) ** 2
    distances: npt.NDArray[np.float64] = 2 * math.degrees(1) * KM_PER_DEGREE * np.arcsin(np.sqrt(a))
    return distances


def fold_name(name: str) -> str:
    """A name as it is compared: lower case, ASCII without accents, one space between words. Empty in other scripts."""
    return " ".join(_fold(name).split())


def _fold(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    return plain.encode("ascii", "ignore").decode()


def _read_lines(text: npt.NDArray[np.uint8]) -> list[str]:
    return text.tobytes().decode().split("\n")
