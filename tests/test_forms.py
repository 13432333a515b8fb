"""Forms: what may be written, how it fits a number of bars, and which bar follows which."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midigen.errors import BadRequest
from midigen.forms import NEW, USUAL_BARS, Form, parse_form


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("AABA", "A A B A"),
        ("aaba", "A A B A"),
        ("A A B A", "A A B A"),
        ("A, A, B, A", "A A B A"),
        ("A-A-B-A", "A A B A"),
        ("A - A | B - A", "A A B A"),
        ("A8 A8 B8 A8", "A8 A8 B8 A8"),
        ("A8A8B4", "A8 A8 B4"),
        ("A:8 A(8) B 4", "A8 A8 B4"),
        ("AABA:16", "A4 A4 B4 A4"),
        ("AAB:16", "A4 A4 B8"),
        ("A A' B A''", "A A' B A''"),
        ("AA'BA’", "A A' B A'"),
        ("A'8 A", "A'8 A"),
        ("intro:4 verse:8 chorus:8 verse:8 outro:4", "intro:4 verse:8 chorus:8 verse:8 outro:4"),
        ("Verse Chorus verse2:16 pre-chorus", "Verse Chorus verse2:16 pre-chorus"),
        ("verse 8 chorus 8", "verse:8 chorus:8"),
        ("verse:8 x2 chorus", "verse:8 verse:8 chorus"),
        ("A x3 B", "A A A B"),
        ("Strophe:8 Größe:4", "Strophe:8 Größe:4"),
    ],
)
def test_forms_are_read(text: str, form: str) -> None:
    read = parse_form(text)
    assert str(read) == form
    assert parse_form(str(read)) == read


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("", "the form is empty", "AABA"),
        (" , ", "the form is empty", "AABA"),
        ("8", "form, character 1", "'8' is no section"),
        ("A B:x", "form, character 3", "its bars as a number"),
        ("A B:0", "form, character 3", "from 1"),
        ("A B0", "form, character 3", "1 to 4096 bars"),
        ("verse:", "form, character 1", "its bars as a number"),
        ("verse:9999", "form, character 1", "from 1 to 4096"),
        ("A8:4", "form, character 1", "twice"),
        ("A B&C", "form, character 3", "'B&C' is no section"),
        ("(AB)x2", "form, character 1", "'('"),
        ("A x99", "form, character 1", "1 to 64 times"),
        ("AABA:3", "form, character 1", "4 bars or more"),
        ("A4096 B4096", "the form has 8192 bars", "shorten"),
    ],
)
def test_what_is_no_form_is_told_where(text: str, where: str, what: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_form(text)
    assert str(caught.value).startswith(where) and what in str(caught.value) and "\n" not in str(caught.value)


def test_sections_have_places_and_are_counted() -> None:
    form = parse_form("intro:4 verse:8 chorus verse2:8 Chorus:8")
    found = [(s.name, s.first, s.last, s.bars, s.base, s.mark, s.occurrence, s.is_varied) for s in form.sections]
    assert found == [
        ("intro", 0, 3, 4, "intro", "", 1, False),
        ("verse", 4, 11, 8, "verse", "", 1, False),
        ("chorus", 12, 19, USUAL_BARS, "chorus", "", 1, False),
        ("verse2", 20, 27, 8, "verse", "2", 2, True),
        ("Chorus", 28, 35, 8, "Chorus", "", 2, False),
    ]
    assert form.bars == 36 and not form.is_settled and parse_form("A4 B4").is_settled
    assert [s.occurrence for s in parse_form("AABA").sections] == [1, 2, 1, 3]


def test_bars_follow_those_of_the_section_that_was_there_before() -> None:
    assert parse_form("A2 A2 B2 A2").follows == (
        NEW, None, (0, True), (1, True), NEW, None, (2, True), (3, True),
    )  # fmt: skip
    assert parse_form("A2 A2 B2 A2").originals[6:] == ((0, True), (1, True))


def test_a_varied_section_follows_its_like_where_there_is_one() -> None:
    follows = parse_form("A1 A'1 A1 A'1 A''1").follows
    assert follows == (NEW, (0, False), (0, True), (1, True), (3, False))
    assert parse_form("verse:1 verse2:1 VERSE:1 verse1:1").follows == (NEW, (0, False), (0, True), (2, True))


def test_sections_of_unlike_length_are_aligned_at_their_starts() -> None:
    assert parse_form("A1 A3 A2").follows == (NEW, (0, True), None, None, (1, True), (2, True))


@pytest.mark.parametrize(
    ("text", "bars", "form"),
    [
        ("AABA", 32, "A8 A8 B8 A8"),
        ("AABA", 16, "A4 A4 B4 A4"),
        ("AABA", 64, "A16 A16 B16 A16"),
        ("AABA", 12, "A3 A3 B3 A3"),
        ("AABA", 36, "A8 A8 B12 A8"),
        ("AABA", 30, "A8 A8 B6 A8"),
        ("AABA", 28, "A8 A8 B4 A8"),
        ("AABA", 33, "A8 A8 B9 A8"),
        ("ABC", 30, "A10 B10 C10"),
        ("ABC", 40, "A16 B16 C8"),
        ("AABA", 4, "A1 A1 B1 A1"),
        ("A", 7, "A7"),
        ("intro:4 AABA", 36, "intro:4 A8 A8 B8 A8"),
        ("A8 B8", 16, "A8 B8"),
        ("A8 B8", 32, "A8 B8 A8 B8"),
    ],
)
def test_a_form_fits_the_bars_asked(text: str, bars: int, form: str) -> None:
    fitted = parse_form(text).fit(bars)
    assert str(fitted) == form and fitted.bars == bars and fitted.is_settled


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(BadRequest, match="its sections have 16 bars, which do not make 20"):
        parse_form("A8 B8").fit(20)
    with pytest.raises(BadRequest, match="16 bars"):
        parse_form("A8 B8").fit(8)
    with pytest.raises(BadRequest, match="ask for 4 bars or more"):
        parse_form("AABA").fit(3)
    with pytest.raises(BadRequest, match="ask for 10 bars or more"):
        parse_form("intro:8 AB").fit(9)
    with pytest.raises(BadRequest, match="section A: 0 bars"):
        Form.of([("A", 0)])
    with pytest.raises(BadRequest, match="no sections"):
        Form(())


names = st.sampled_from(["A", "A'", "B", "B''", "C", "verse", "verse2", "chorus", "intro"])


@given(
    st.lists(st.tuples(names, st.one_of(st.none(), st.integers(1, 12))), min_size=1, max_size=12), st.integers(0, 80)
)
def test_a_fitted_form_keeps_its_promises(items: list[tuple[str, int | None]], more: int) -> None:
    form = parse_form(" ".join(name if bars is None else f"{name}:{bars}" for name, bars in items))
    still_open = sum(bars is None for _, bars in items)
    least = sum(bars or 1 for _, bars in items)
    fitted = form.fit(least + more if still_open else least)
    assert parse_form(str(fitted)) == fitted
    assert [s.name for s in fitted.sections] == [name for name, _ in items]
    assert all(bars in (None, section.bars) for (_, bars), section in zip(items, fitted.sections, strict=True))
    assert len(fitted.follows) == fitted.bars == (least + more if still_open else least)
    section_of = [number for number, section in enumerate(fitted.sections) for _ in range(section.bars)]
    for follows in (fitted.follows, fitted.originals):
        for bar, target in enumerate(follows):
            if target is not None and target != NEW:
                here, there = fitted.sections[section_of[bar]], fitted.sections[section_of[target[0]]]
                assert target[0] < bar and bar - here.first == target[0] - there.first
                assert here.base == there.base and target[1] == (here.mark == there.mark)
