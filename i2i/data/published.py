"""Archives of published data sets: where they are, and how many bytes with which hash they have."""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple

from i2i.core.spelling import did_you_mean
from i2i.errors import DataError


class Archive(NamedTuple):
    """A published archive.

    Args:
        url: of the file.
        size: in bytes, or None where it is not known.
        sha256: in hexadecimal, or None where it is not known.
        paired: whether it holds side-by-side pairs; otherwise `trainA`, `trainB` and their tests.
    """

    url: str
    size: int | None = None
    sha256: str | None = None
    paired: bool = False


_UNPAIRED = "https://efrosgans.eecs.berkeley.edu/cyclegan/datasets"
_PAIRED = "https://efrosgans.eecs.berkeley.edu/pix2pix/datasets"

# Sizes and hashes are those that TensorFlow Datasets records for the files of CycleGAN (Apache-2.0, cycle_gan.txt).
ARCHIVES = MappingProxyType(
    {
        name: Archive(f"{_UNPAIRED}/{name}.zip", size, sha256)
        for name, size, sha256 in (
            ("apple2orange", 78_456_409, "845a191e9af8926408ea597001cd03a452e3300a1f44a79fe329b3d59f6e3eb8"),
            ("cezanne2photo", 279_885_071, "3a6c10ca21f9485862f1cbd707744b9dc258954a04631271d23a3605eeb63cff"),
            ("facades", 35_135_868, "9a31ebf3a31b9b5cd195dd5bf62e9308e00cb94604d1019e3889ac84248695c0"),
            ("horse2zebra", 116_867_962, "a74d9d392eecca9966b51287a76ca126af473d9de4f3e8fc0e9cda08fa1730a1"),
            ("iphone2dslr_flower", 339_964_458, "8fcb5e374d631b107e1d961b8c4cd0a186aa2a4ff3e279923f4c426128de7113"),
            ("maps", 1_476_754_427, "639534f69dbf9f36bef8d6292a7698006361221f83f0285d7c9ca78afe6e8a9e"),
            ("monet2photo", 305_231_073, "88f91b00fc228f97c9411fbf1880ec1d119c98f1722e4cfcfaa2fb35fac05b04"),
            ("summer2winter_yosemite", 132_640_856, "167fe1726807a9d22bd106b4a6c0bd7953b688af924ac1bf967439c4961e49f9"),
            ("ukiyoe2photo", 292_946_532, "02a2a2fb5ecf425ca1bf86aca7304377da64a2a1d3b86df54eb65e4068bf3b08"),
            ("vangogh2photo", 306_590_349, "362c3473e70be0944bda08d49d660eafdc2854df55d697835b8186d1d79caaff"),
        )
    }
    | {
        # No size or hash of these is published, so only the length that the server states can be checked.
        name: Archive(f"{_PAIRED}/{file}.tar.gz", paired=True)
        for name, file in (
            ("facades_pairs", "facades"),
            ("maps_pairs", "maps"),
            ("edges2shoes", "edges2shoes"),
            ("edges2handbags", "edges2handbags"),
            ("night2day", "night2day"),
        )
    }
)


def published(name: str) -> Archive:
    """A published archive by name.

    Raises:
        DataError: there is none of this name.
    """
    if name not in ARCHIVES:
        raise DataError(f"no data set is called {name!r}.{did_you_mean(name, ARCHIVES)} Known: {', '.join(ARCHIVES)}")
    return ARCHIVES[name]
