"""Marks of ours in an XMP packet, merged with whatever else it says.

Through libexiv2, which darktable and digiKam write their own sidecars with, by the package exiv2 (extra `xmp`).
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from .names import SidecarError
from .statements import DUBLIN_CORE, Value, statements, texts

REJECTED = -1
# Ours, to know later what we wrote: a rating that differs from the one that we noted was given by a person.
NAMESPACE, PREFIX = "urn:aesthetic-mllm:xmp:1.0/", "aestheticMLLM"
EMPTY = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/></x:xmpmeta>\n<?xpacket end="w"?>'
)
RATING, PICK, GOOD = "Xmp.xmp.Rating", "Xmp.xmpDM.pick", "Xmp.xmpDM.good"
PICK_LABEL = "Xmp.digiKam.PickLabel"
# digiKam's numbers of rejected, nothing and accepted.
PICK_LABELS = {-1: "1", 0: "0", 1: "3"}
GOODS = {-1: "False", 0: "", 1: "True"}
# Hierarchical tags with the separator of their levels.
TAGS = {"Xmp.lr.hierarchicalSubject": "|", "Xmp.digiKam.TagsList": "/"}
CHANGED = "Xmp.xmp.MetadataDate"
OUR_RATING, OUR_PICK, OUR_TAGS = (f"Xmp.{PREFIX}.{name}" for name in ("Rating", "Pick", "Tags"))
_NAMESPACES = {
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpDM": "http://ns.adobe.com/xmp/1.0/DynamicMedia/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    PREFIX: NAMESPACE,
}
_ARRAYS = (*TAGS, OUR_TAGS)


@dataclass(frozen=True)
class Marks:
    """What is to be said of a photo; `None` leaves what is there.

    Args:
        rating: 1 to 5 stars, or -1 for a reject; 0 takes back a reject of ours, and nothing else.
        pick: 1 for a pick, -1 for a reject; 0 takes back a flag of ours, and nothing else.
        tags: with levels that "|" separates, such as "aesthetic|high". They replace the ones that we wrote below `tag_prefix`.
        tag_prefix: the levels above, such as "aesthetic"; default any.

    Raises:
        SidecarError: another rating or pick, a tag without text, or one that is not below `tag_prefix`.
    """

    rating: int | None = None
    pick: int | None = None
    tags: tuple[str, ...] | None = None
    tag_prefix: str | None = None

    def __post_init__(self) -> None:
        if self.rating is not None and self.rating not in (REJECTED, 0, 1, 2, 3, 4, 5):
            raise SidecarError(f"A rating must be 1 to 5 stars, {REJECTED} or 0, got {self.rating!r}.")
        if self.pick is not None and self.pick not in PICK_LABELS:
            raise SidecarError(f"A pick must be 1, 0 or -1, got {self.pick!r}.")
        if any(not level.strip() or "/" in level for tag in self.tags or () for level in tag.split("|")):
            raise SidecarError(f"Each level of a tag must have text, without '/'; got {', '.join(self.tags or ())}.")
        if any(not self.replaces(tag) for tag in self.tags or ()):
            raise SidecarError(f"Tags must lie below {self.tag_prefix!r}; got {', '.join(self.tags or ())}.")

    def replaces(self, tag: str) -> bool:
        """Whether one of our earlier tags makes room for these."""
        return self.tag_prefix is None or tag.startswith(f"{self.tag_prefix}|")

    @property
    def say_nothing(self) -> bool:
        """Whether all they can do is to take back what we wrote before."""
        return not self.rating and not self.pick and not self.tags


@dataclass(frozen=True)
class Merged:
    """A packet with marks.

    Args:
        packet: the text of the sidecar.
        changed: whether it says anything that it did not say before.
        kept_rating, kept_pick: whether one that a person gave stands in place of ours.
    """

    packet: bytes
    changed: bool
    kept_rating: bool
    kept_pick: bool


@dataclass(frozen=True)
class Given:
    """What somebody else than we said of a photo.

    Args:
        rating: `None` without one, or for 0, which means unrated.
        flag: whether it is flagged as a pick, as a reject, or as anything that we do not know.
    """

    rating: float | None = None
    flag: bool = False

    def __or__(self, other: "Given") -> "Given":
        """What is said in either place, first found."""
        return Given(other.rating if self.rating is None else self.rating, self.flag or other.flag)


class Packet:
    """An XMP packet that is open for changes.

    Raises:
        SidecarError: it cannot be read.
    """

    def __init__(self, data: bytes):
        self.before = statements(data)
        self.exiv2 = _library()
        self.image = _opened(self.exiv2, data)
        self.data = self.image.xmpData()
        self.touched: set[str] = set()

    def text(self, key: str) -> str | None:
        """A property's value; `None` without one."""
        return _text(self.data, key)

    def items(self, key: str) -> list[str]:
        """What an array has; plain text is one item.

        Raises:
            SidecarError: it has more than text, such as languages or fields.
        """
        said = self.data[key].value() if key in self.data else ()
        if isinstance(said, self.exiv2.XmpTextValue):
            plain = (said.xmpArrayType(), said.xmpStruct()) == (said.XmpArrayType.xaNone, said.XmpStruct.xsNone)
            said = ((str(said),) if str(said) else ()) if plain else None
        if said is None or isinstance(said, self.exiv2.LangAltValue):
            raise SidecarError(f"has tags in {key.removeprefix('Xmp.').replace('.', ':')} that are no list of plain text")
        return [str(item) for item in said]

    def put(self, key: str, text: str | None) -> None:
        if text == self.text(key):
            return
        self.touched.add(key)
        if text is not None:
            self.data[key] = text
        else:
            del self.data[key]

    def put_items(self, key: str, items: Sequence[str]) -> None:
        """An array of its own kind, and nothing in place of an empty one."""
        if items == self.items(key):
            return
        self.put(key, None)
        self.touched.add(key)
        if items:
            kinds = self.exiv2.TypeId
            value = self.exiv2.XmpArrayValue(kinds.xmpSeq if key.startswith("Xmp.digiKam.") else kinds.xmpBag)
            for item in items:
                value.read(item)
            self.data[key] = value

    def written(self) -> bytes:
        """The packet as it is now.

        Raises:
            SidecarError: something that we did not touch would not come through, or our marks would not.
        """
        # exiv2 makes EXIF and IPTC data of a sidecar, and of those XMP again: what was taken back would return
        self.image.clearExifData()
        self.image.clearIptcData()
        self.image.writeMetadata()
        store = self.image.io()
        store.open()
        packet = bytes(store.mmap())
        after = statements(packet)
        touched = {_full_name(key): self.items(key) if key in _ARRAYS else [self.text(key)] for key in self.touched}
        lost = _differing(self.before, after, touched)
        lost += [name for name, said in touched.items() if texts(after.get(name, "")) != [text for text in said if text]]
        if lost:
            raise SidecarError(f"would lose {', '.join(lost)} when it is written by exiv2")
        return packet


NOTHING = Given()


def merge(data: bytes | None, marks: Marks, *, overwrite: bool = False, elsewhere: Given = NOTHING) -> Merged:
    """A packet in which the marks stand beside whatever else it says.

    A rating or flag counts as a person's where it differs from the one that we noted when we last wrote. It is kept, unless
    `overwrite`. Of tags only those that we wrote ourselves, below the same prefix, are taken back.

    Args:
        data: the sidecar as it is; default a new one.
        elsewhere: what the photo itself, or another sidecar of it, carries.

    Raises:
        SidecarError: the packet cannot be read, or something would be lost.
    """
    packet = Packet(EMPTY if data is None else data)
    kept_rating = _mark_rating(packet, marks.rating, overwrite, elsewhere.rating)
    kept_pick = _mark_pick(packet, marks.pick, overwrite, elsewhere.flag)
    if marks.tags is not None:
        _mark_tags(packet, marks, marks.tags)
    merged = packet.written()
    changed = statements(merged) != packet.before
    if changed:
        packet.put(CHANGED, datetime.now().astimezone().isoformat(timespec="seconds"))
        merged = packet.written()
    return Merged(merged, changed, kept_rating, kept_pick)


def given_in(data: bytes) -> Given:
    """What somebody else than we said in a packet."""
    packet = Packet(data)
    rating = None if _is_ours(packet, RATING, OUR_RATING) else _stars(packet.text(RATING))
    return Given(rating, _is_flagged_by_others(packet.text))


def given_in_photo(photo: Path) -> Given:
    """What is said inside a photo's file, XMP before EXIF; nothing where it cannot be read."""
    exiv2 = _library()
    try:
        try:
            image = exiv2.ImageFactory.open(str(photo))
        except (UnicodeEncodeError, TypeError):  # a name that is no text
            image = exiv2.ImageFactory.open(photo.read_bytes())
        image.readMetadata()
        xmp, exif = image.xmpData(), image.exifData()
        rating = _text(xmp, RATING) if RATING in xmp else _text(exif, "Exif.Image.Rating")
        return Given(_stars(rating), _is_flagged_by_others(lambda key: _text(xmp, key)))
    except (exiv2.Exiv2Error, OSError):
        return Given()


def _mark_rating(packet: Packet, rating: int | None, overwrite: bool, embedded: float | None) -> bool:
    if rating is None:
        return False
    given = packet.text(RATING)
    if rating == 0:
        if given == str(REJECTED) and _is_ours(packet, RATING, OUR_RATING):
            packet.put(RATING, None)
            packet.put(OUR_RATING, None)
        return False
    theirs = given is not None and not _is_ours(packet, RATING, OUR_RATING) and _stars(given) is not None
    if (theirs or (given is None and embedded is not None)) and not overwrite:
        packet.put(OUR_RATING, None)
        return True
    packet.put(RATING, str(rating))
    packet.put(OUR_RATING, str(rating))
    return False


def _mark_pick(packet: Packet, pick: int | None, overwrite: bool, elsewhere: bool) -> bool:
    if pick is None:
        return False
    theirs = _is_flagged_by_others(packet.text)
    if pick == 0:
        if not theirs and packet.text(OUR_PICK) is not None:
            for key in (PICK, GOOD, PICK_LABEL, OUR_PICK):
                packet.put(key, None)
        return False
    if (theirs or (elsewhere and not any(_flags(packet.text).values()))) and not overwrite:
        packet.put(OUR_PICK, None)
        return True
    packet.put(PICK, str(pick))
    packet.put(GOOD, GOODS[pick])
    packet.put(PICK_LABEL, PICK_LABELS[pick])
    packet.put(OUR_PICK, str(pick))
    return False


def _is_flagged_by_others(text: Callable[[str], str | None]) -> bool:
    """Whether a flag is there that differs from the one that we noted.

    Args:
        text: a property's value by its key.
    """
    ours = text(OUR_PICK)
    noted = int(ours) if ours in ("-1", "1") else 0
    known = {PICK: str(noted), GOOD: GOODS[noted].lower(), PICK_LABEL: PICK_LABELS[noted]}
    return any(said not in ("", known[key]) for key, said in _flags(text).items())


def _flags(text: Callable[[str], str | None]) -> dict[str, str]:
    """What says that a photo is flagged, in lower case; empty text where nothing does."""
    said = {key: (text(key) or "").strip().lower() for key in (PICK, GOOD, PICK_LABEL)}
    return {key: "" if value == "0" else value for key, value in said.items()}


def _mark_tags(packet: Packet, marks: Marks, tags: Sequence[str]) -> None:
    ours = packet.items(OUR_TAGS)
    stale = {tag for tag in ours if marks.replaces(tag) and tag not in tags}
    # a tag that a person gave before is not ours to take back
    theirs = {tag for key, separator in TAGS.items() for tag in tags if tag.replace("|", separator) in packet.items(key)}
    for key, separator in TAGS.items():
        gone = {tag.replace("|", separator) for tag in stale}
        new = [tag.replace("|", separator) for tag in tags]
        packet.put_items(key, _with([item for item in packet.items(key) if item not in gone], new))
    packet.put_items(OUR_TAGS, _with([tag for tag in ours if tag not in stale], [tag for tag in tags if tag not in theirs]))


def _with(items: list[str], new: Sequence[str]) -> list[str]:
    """The items in their order, and the new ones that are not among them."""
    return [*items, *(item for item in new if item not in items)]


def _is_ours(packet: Packet, key: str, noted: str) -> bool:
    value = packet.text(key)
    return value is not None and value == packet.text(noted)


def _stars(text: str | None) -> float | None:
    """A rating that says something; what is no number is somebody's too, so it counts as one."""
    try:
        value = float(text or 0)
    except ValueError:
        return float("nan")
    return value or None


def _library() -> Any:
    """The package exiv2, silent, and with our namespace.

    Raises:
        SidecarError: it is not installed.
    """
    try:
        import exiv2
    except ImportError as error:
        raise SidecarError("XMP sidecars need the package exiv2: pip install 'aesthetic-mllm[xmp]'.") from error
    exiv2.LogMsg.setLevel(exiv2.LogMsg.Level.mute)
    # it keeps the prefixes of every packet that it has read, and with them would write the next one into wrong namespaces
    exiv2.XmpProperties.unregisterNs()
    exiv2.XmpProperties.registerNs(NAMESPACE, PREFIX)
    return exiv2


def _opened(exiv2: Any, data: bytes) -> Any:
    try:
        image = exiv2.ImageFactory.open(data)
        image.readMetadata()
    except exiv2.Exiv2Error as error:
        raise SidecarError(f"cannot be read by exiv2 ({error})") from error
    return image


def _text(data: Any, key: str) -> str | None:
    """A property's value in exiv2's data; `None` without one."""
    return str(data[key].toString()) if key in data else None


def _full_name(key: str) -> str:
    """A key of exiv2's as [`statements`] name it."""
    _, prefix, name = key.split(".")
    return f"{{{_NAMESPACES[prefix]}}}{name}"


def _differing(before: dict[str, Value], after: dict[str, Value], touched: Collection[str]) -> list[str]:
    """Properties that are gone or say something else now, apart from those that were touched."""

    def differs(name: str) -> bool:
        old, new = before[name], after.get(name)
        # exiv2 puts Dublin Core's values into the arrays that it asks for, and leaves empty tags out
        is_loose = name.startswith(DUBLIN_CORE) or name in map(_full_name, _ARRAYS)
        return old != new and not (is_loose and new is not None and texts(old) == texts(new))

    return sorted(name for name in before if differs(name) and name not in touched)
