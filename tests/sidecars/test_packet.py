"""Marks merged into what a sidecar says already."""

import pytest

from aesthetic_mllm.sidecars import Marks, SidecarError
from aesthetic_mllm.sidecars.packet import Given, merge
from aesthetic_mllm.sidecars.statements import statements
from xmp_packets import DARKTABLE, LIGHTROOM, packet

pytest.importorskip("exiv2", reason="the extra `xmp` is not installed")

XMP, DM, LR = (
    "{http://ns.adobe.com/xap/1.0/}",
    "{http://ns.adobe.com/xmp/1.0/DynamicMedia/}",
    "{http://ns.adobe.com/lightroom/1.0/}",
)
DIGIKAM, OURS = "{http://www.digikam.org/ns/1.0/}", "{urn:aesthetic-mllm:xmp:1.0/}"
TOUCHED = {
    f"{XMP}Rating", f"{XMP}MetadataDate", f"{DM}pick", f"{DM}good", f"{DIGIKAM}PickLabel", f"{DIGIKAM}TagsList",
    f"{LR}hierarchicalSubject", f"{OURS}Rating", f"{OURS}Pick", f"{OURS}Tags",
}  # fmt: skip
ALL = Marks(5, 1, ("aesthetic|high",))


def others(data: bytes) -> dict[str, object]:
    """What a packet says beside marks."""
    return {name: value for name, value in statements(data).items() if name not in TOUCHED}


@pytest.mark.parametrize("before", [LIGHTROOM, DARKTABLE])
def test_everything_else_survives(before: bytes) -> None:
    """Develop settings, histories, unknown namespaces, languages, and the tags that were there."""
    merged = merge(before, ALL, overwrite=True)
    said = statements(merged.packet)
    assert merged.changed and others(merged.packet) == others(before) and len(others(before)) > 3
    assert said[f"{XMP}Rating"] == "5" and said[f"{DM}pick"] == "1" and said[f"{DM}good"] == "True"
    assert said[f"{DIGIKAM}PickLabel"] == "3" and said[f"{DIGIKAM}TagsList"] == ("Seq", ["aesthetic/high"])
    tags = said[f"{LR}hierarchicalSubject"]
    assert tags[0] == "Bag" and tags[1][-1] == "aesthetic|high" and ("people|Ute" in tags[1]) == (before is LIGHTROOM)


def test_a_persons_rating_is_kept_until_told_otherwise() -> None:
    """Ours is replaced by our next one; one that differs from what we noted is somebody's, and what we noted goes."""
    assert merge(LIGHTROOM, Marks(2)).kept_rating
    assert statements(merge(LIGHTROOM, Marks(2)).packet)[f"{XMP}Rating"] == "4"
    ours = merge(None, Marks(2)).packet
    again = merge(ours, Marks(5))
    assert not again.kept_rating and statements(again.packet)[f"{XMP}Rating"] == "5"
    changed = ours.replace(b'xmp:Rating="2"', b'xmp:Rating="3"')
    kept = merge(changed, Marks(5))
    assert kept.kept_rating and statements(kept.packet)[f"{XMP}Rating"] == "3" and f"{OURS}Rating" not in statements(kept.packet)
    assert statements(merge(changed, Marks(5), overwrite=True).packet)[f"{XMP}Rating"] == "5"


def test_unrated_is_no_rating_and_the_photos_own_counts() -> None:
    zero = LIGHTROOM.replace(b'xmp:Rating="4"', b'xmp:Rating="0"')
    assert statements(merge(zero, Marks(2)).packet)[f"{XMP}Rating"] == "2"
    inside = merge(None, Marks(2), elsewhere=Given(5.0))
    assert inside.kept_rating and f"{XMP}Rating" not in statements(inside.packet)


def test_flags_of_ours_are_taken_back_and_others_kept() -> None:
    """A pick becomes a reject and then neither; a flag that digiKam's user set stays."""
    reject = merge(merge(None, Marks(pick=1)).packet, Marks(-1, -1)).packet
    said = statements(reject)
    assert (said[f"{XMP}Rating"], said[f"{DM}pick"], said[f"{DM}good"], said[f"{DIGIKAM}PickLabel"]) == ("-1", "-1", "False", "1")
    neither = statements(merge(reject, Marks(0, 0)).packet)
    assert not neither.keys() & {f"{XMP}Rating", f"{DM}pick", f"{DM}good", f"{DIGIKAM}PickLabel", f"{OURS}Pick", f"{OURS}Rating"}
    accepted = packet('<rdf:Description xmlns:digiKam="http://www.digikam.org/ns/1.0/" digiKam:PickLabel="3"/>')
    kept = merge(accepted, Marks(pick=-1))
    assert kept.kept_pick and statements(kept.packet)[f"{DIGIKAM}PickLabel"] == "3" and f"{DM}pick" not in statements(kept.packet)
    stars = merge(None, Marks(3)).packet
    assert statements(merge(stars, Marks(0, 0)).packet)[f"{XMP}Rating"] == "3"


def test_only_tags_of_ours_are_taken_back() -> None:
    """Even where a person gave the same one first."""
    merged = merge(merge(LIGHTROOM, Marks(tags=("people|Ute", "a|low"))).packet, Marks(tags=("a|high",))).packet
    assert statements(merged)[f"{LR}hierarchicalSubject"] == ("Bag", ["people|Ute", "a|high"])


def test_tags_of_two_commands_stand_side_by_side() -> None:
    """Each takes back only what is below its own prefix, in either order, and the second time nothing changes."""
    rated, culled = Marks(4, tags=("aesthetic|high",), tag_prefix="aesthetic"), Marks(0, 1, ("cull|pick",), "cull")

    def tags(*marks: Marks) -> tuple[set[str], set[str]]:
        data = LIGHTROOM
        for each in marks:
            data = merge(data, each).packet
        assert not any(merge(data, each).changed for each in marks[-2:])
        said = statements(data)
        assert {tag.replace("/", "|") for tag in said[f"{DIGIKAM}TagsList"][1]} == {*said[f"{LR}hierarchicalSubject"][1][1:]}
        return set(said[f"{LR}hierarchicalSubject"][1]), set(said[f"{OURS}Tags"][1])

    both = {"aesthetic|high", "cull|pick"}
    assert tags(rated, culled) == tags(culled, rated) == ({"people|Ute"} | both, both)
    lower = Marks(2, tags=("aesthetic|low",), tag_prefix="aesthetic")
    assert tags(rated, culled, lower, culled)[1] == {"aesthetic|low", "cull|pick"}
    undecided = merge(merge(merge(None, rated).packet, culled).packet, Marks(0, 0, (), "cull")).packet
    assert statements(undecided)[f"{LR}hierarchicalSubject"] == ("Bag", ["aesthetic|high"])


def test_nothing_new_is_no_change() -> None:
    once = merge(LIGHTROOM, ALL).packet
    assert not merge(once, ALL).changed and merge(once, Marks(1, 1, ())).changed


def test_what_the_library_would_lose_is_an_error() -> None:
    """XML in a value, which exiv2 does not keep; two namespaces with one prefix do no harm."""
    literal = '<rdf:Description xmlns:a="http://a/"><a:b rdf:parseType="Literal"><i>x</i></a:b></rdf:Description>'
    with pytest.raises(SidecarError, match="would lose {http://a/}b"):
        merge(packet(literal), Marks(3))
    for uri in ("http://one/", "http://two/", "http://one/"):
        before = packet(f'<rdf:Description xmlns:p="{uri}" p:a="1"/>')
        assert others(merge(before, Marks(3)).packet) == others(before)


def test_prefixes_of_one_packet_do_no_harm_to_the_next() -> None:
    """One that has another's prefix is refused where its own would be lost; what follows is written as if it had come first."""
    alone = others(merge(LIGHTROOM, ALL, overwrite=True).packet)
    mine = packet('<rdf:Description xmlns:lr="urn:mine" lr:x="1"/>')
    with pytest.raises(SidecarError, match="would lose {urn:mine}x"):
        merge(mine, ALL)
    other = packet(
        '<rdf:Description xmlns:a="http://ns.adobe.com/xap/1.0/" xmlns:xmp="http://other/" a:Rating="2" xmp:Thing="1"/>'
    )
    with pytest.raises(SidecarError, match="would lose {http://ns.adobe.com/xap/1.0/}Rating"):
        merge(other, ALL)
    merge(packet('<rdf:Description xmlns:dc="http://other/" dc:x="1"/>'), ALL)
    for before in (LIGHTROOM, packet('<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Label="Red"/>')):
        merged = merge(before, ALL, overwrite=True).packet
        assert others(merged) == others(before) and statements(merged)[f"{LR}hierarchicalSubject"][1][-1] == "aesthetic|high"
    assert others(merge(LIGHTROOM, ALL, overwrite=True).packet) == alone


def test_nothing_to_say_takes_nothing_from_a_person() -> None:
    """Even where what they gave may be replaced: there is nothing to replace it with."""
    flagged = 'xmp:Rating="4" xmpDM:pick="1" xmpDM:good="True" digiKam:PickLabel="3"'
    spaces = (
        'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:xmpDM="http://ns.adobe.com/xmp/1.0/DynamicMedia/" '
        'xmlns:digiKam="http://www.digikam.org/ns/1.0/"'
    )
    merged = merge(packet(f"<rdf:Description {spaces} {flagged}/>"), Marks(0, 0, (), "cull"), overwrite=True)
    assert not merged.changed and not merged.kept_pick
    assert (
        statements(merge(packet(f"<rdf:Description {spaces} {flagged}/>"), Marks(pick=-1), overwrite=True).packet)[f"{DM}pick"]
        == "-1"
    )


@pytest.mark.parametrize("good", ["True", "False"])
def test_a_flag_that_only_one_property_says_is_a_persons(good: str) -> None:
    before = packet(f'<rdf:Description xmlns:xmpDM="http://ns.adobe.com/xmp/1.0/DynamicMedia/" xmpDM:good="{good}"/>')
    for pick in (1, -1):
        merged = merge(before, Marks(pick=pick))
        assert merged.kept_pick and not merged.changed


def test_tags_that_are_plain_text_are_one_tag() -> None:
    before = packet(f'<rdf:Description xmlns:lr="{LR[1:-1]}" lr:hierarchicalSubject="people|Ute"/>')
    said = statements(merge(before, Marks(tags=("a|high",))).packet)
    assert said[f"{LR}hierarchicalSubject"] == ("Bag", ["people|Ute", "a|high"])


@pytest.mark.parametrize(
    "tags",
    [
        '<rdf:Bag><rdf:li xml:lang="de">a|b</rdf:li></rdf:Bag>',
        '<rdf:Alt><rdf:li xml:lang="x-default">a|b</rdf:li></rdf:Alt>',
        '<rdf:Description lr:x="1"/>',
        '<rdf:Bag><rdf:li rdf:parseType="Resource"><lr:x>1</lr:x></rdf:li></rdf:Bag>',
    ],
)
def test_tags_that_are_more_than_text_are_left_alone(tags: str) -> None:
    """Other marks can be written beside them."""
    start = f'<rdf:Description xmlns:lr="{LR[1:-1]}"><lr:hierarchicalSubject>{tags}</lr:hierarchicalSubject></rdf:Description>'
    with pytest.raises(SidecarError, match="has tags in lr:hierarchicalSubject that are no list of plain text"):
        merge(packet(start), Marks(tags=("a|high",)))
    said = statements(merge(packet(start), Marks(3)).packet)
    assert said[f"{LR}hierarchicalSubject"] == statements(packet(start))[f"{LR}hierarchicalSubject"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('dc:title="x"', "Alt"),
        ("><dc:subject>word</dc:subject", "Bag"),
        ("><dc:subject><rdf:Seq><rdf:li>word</rdf:li></rdf:Seq></dc:subject", "Bag"),
    ],
)
def test_dublin_core_is_put_into_the_arrays_that_it_asks_for(before: str, after: str) -> None:
    start = '<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" '
    end = "></rdf:Description>" if before.startswith(">") else "/>"
    (name,) = statements(packet(f"{start}{before}{end}"))
    kind, items = statements(merge(packet(f"{start}{before}{end}"), Marks(3)).packet)[name]
    assert kind == after and len(items) == 1


@pytest.mark.parametrize(
    "marks",
    [{"rating": 6}, {"pick": 2}, {"tags": ("a||b",)}, {"tags": ("a/b",)},
     {"tags": ("ab|c",), "tag_prefix": "a"}],
)  # fmt: skip
def test_marks_that_cannot_be(marks: dict[str, object]) -> None:
    with pytest.raises(SidecarError, match="got"):
        Marks(**marks)  # type: ignore[arg-type]
