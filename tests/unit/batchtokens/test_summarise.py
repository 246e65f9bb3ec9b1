"""The sentence that a person confirms: two mandates that differ never read alike."""

from __future__ import annotations

import copy
import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchtokens.models import OperationType
from batchtokens.services.operation_types.summarise import (
    describe_limits,
    describe_parties,
    summarise,
)
from batchtokens_verifier.constraints import Amount, Constraints

OPERATION: dict[str, Any] = {"action": "pay", "debtor": "a", "creditor": "b", "reference": "c"}
TEMPLATE = "Pay from {debtor} into {creditor}, reference {reference}."
LIMITS: dict[str, Any] = {
    "valid_from": "2026-12-01T08:00:00Z",
    "valid_to": "2027-12-01T08:00:00Z",
    "schedule": "FREQ=MONTHLY;COUNT=6",
    "due_window": "P3D",
    "max_individual_amount": {"amount": "50.00", "currency": "USD"},
    "periodic_limits": [
        {
            "period_type": "month",
            "period_alignment": "consent",
            "time_zone": "UTC",
            "amount": "50.00",
            "currency": "USD",
            "max_count": 1,
        }
    ],
    "max_total": {"amount": "300.00", "currency": "USD"},
    "max_occurrences": 6,
}


def said(operation: dict[str, Any], template: str = TEMPLATE, **limits: Any) -> str:
    members = {name: value for name, value in (LIMITS | limits).items() if value is not None}
    parsed = Constraints.parse(members, operation_amount=None)
    return summarise(OperationType(summary_template=template), operation, describe_limits(parsed))


def first_sentence(operation: dict[str, Any], template: str = TEMPLATE) -> str:
    return said(operation, template).partition(" Valid from")[0]


def test_quotes_each_text() -> None:
    assert first_sentence(OPERATION) == "Pay from “a” into “b”, reference “c”."


def test_quotes_once_where_the_template_quotes() -> None:
    assert first_sentence(OPERATION, "Pay “{debtor}”.") == "Pay “a”."


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"debtor": "a into b", "creditor": "c"}, {"debtor": "a", "creditor": "b into c"}),
        ({"debtor": "a” into “b", "creditor": "c"}, {"debtor": "a", "creditor": "b” into “c"}),
        ({"debtor": "a\\", "creditor": "c"}, {"debtor": "a", "creditor": "\\c"}),
        ({"debtor": "a\\”", "creditor": "c"}, {"debtor": "a”", "creditor": "c"}),
        ({"debtor": "a\\u{a0}"}, {"debtor": "a\N{NO-BREAK SPACE}"}),
        ({"debtor": "a b"}, {"debtor": "a  b"}),
        ({"debtor": "a"}, {"debtor": "a "}),
        ({"debtor": "a"}, {"debtor": "a\N{VARIATION SELECTOR-16}"}),
        ({"debtor": "a"}, {"debtor": "a\N{HANGUL FILLER}"}),
        ({"debtor": "–"}, {"debtor": None}),
    ],
)
def test_a_text_cannot_imitate_the_sentence(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert first_sentence(OPERATION | one) != first_sentence(OPERATION | other)


@pytest.mark.parametrize(
    "text",
    [
        "c”. Never more than 1.00 USD in total",
        'c". x',
        "c„",
        "«c»",
        "c\N{FULLWIDTH QUOTATION MARK}",
        "c\N{MODIFIER LETTER DOUBLE APOSTROPHE}",
        "c\N{MODIFIER LETTER DOUBLE PRIME}",
        "c\N{DOUBLE ACUTE ACCENT}",
        "c\N{HEBREW PUNCTUATION GERSHAYIM}",
        "c\N{DITTO MARK}",
        "c\N{TRIPLE PRIME}",
        "c\N{QUADRUPLE PRIME}",
        "c\N{REVERSED TRIPLE PRIME}",
        "c\N{SANS-SERIF HEAVY DOUBLE COMMA QUOTATION MARK ORNAMENT}",
        "c\N{RIGHT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}",
        "c''",
        "c \N{COMBINING DOUBLE ACUTE ACCENT}",
        "\N{COMBINING DOUBLE ACUTE ACCENT}\N{COMBINING DOUBLE ACUTE ACCENT}",
        "c\N{PRIME}\N{PRIME}",
        "c\N{MODIFIER LETTER APOSTROPHE}\N{RIGHT SINGLE QUOTATION MARK}",
    ],
)
def test_what_looks_like_a_quotation_mark_shows_as_none(text: str) -> None:
    shown = first_sentence(OPERATION | {"reference": text})

    assert shown.count("”") - shown.count("\\”") == 3
    assert "\\" in shown


def test_an_apostrophe_is_left_alone() -> None:
    assert "“Bob's, Zoë’s”" in first_sentence(OPERATION | {"reference": "Bob's, Zoë’s"})


def test_marks_do_not_pile_up_over_other_lines() -> None:
    heap = "\N{COMBINING LONG SOLIDUS OVERLAY}" * 40

    shown = first_sentence(OPERATION | {"reference": f"a{heap}"})

    assert heap[:5] not in shown
    assert shown != first_sentence(OPERATION | {"reference": f"a{heap[1:]}"})


@pytest.mark.parametrize(
    "hidden",
    [
        "\N{NO-BREAK SPACE}",
        "\N{EM SPACE}",
        "\N{BRAILLE PATTERN BLANK}",
        "\N{KHITAN SMALL SCRIPT FILLER}",
        "\N{MUSICAL SYMBOL NULL NOTEHEAD}",
        "\N{OBJECT REPLACEMENT CHARACTER}",
    ],
)
def test_blanks_that_are_no_spaces_are_named(hidden: str) -> None:
    shown = first_sentence(OPERATION | {"reference": f"x{hidden}y"})

    assert f"x\\u{{{ord(hidden):x}}}y" in shown


def test_right_to_left_text_moves_nothing_around_it() -> None:
    shown = first_sentence(OPERATION | {"debtor": "\N{HEBREW LETTER ALEF}1"})

    assert "“\N{FIRST STRONG ISOLATE}\N{HEBREW LETTER ALEF}1\N{POP DIRECTIONAL ISOLATE}”" in shown


def test_arrays_and_booleans_cannot_run_into_each_other() -> None:
    template = "{one}, {other}"
    values: tuple[Any, ...] = (
        [],
        ["x"],
        ["x", "y"],
        ["y"],
        ["x”, “y"],
        [""],
        [True],
        [True, False],
        True,
        False,
    )
    values = (*values, None, "yes", "–", "[]", "")

    operations = [{"one": one, "other": other} for one, other in itertools.product(values, values)]
    sentences = {first_sentence(operation, template) for operation in operations}

    assert len(sentences) == len(operations)


TEXTS = st.text(alphabet="ab \\”“,[]{}u'’\N{NO-BREAK SPACE}–\N{COMBINING ACUTE ACCENT}", max_size=6)


@given(st.tuples(TEXTS, TEXTS, TEXTS), st.tuples(TEXTS, TEXTS, TEXTS))
def test_different_texts_read_differently(one: Any, other: Any) -> None:
    names = ("debtor", "creditor", "reference")
    first, second = (first_sentence(dict(zip(names, each, strict=True))) for each in (one, other))

    assert (first == second) == (one == other)


def test_shows_an_amount_whole() -> None:
    operation = {"amount": Amount(5000, "JPY").as_json()}

    assert first_sentence(operation, "Pay {amount}.") == "Pay 5000 JPY."


CHANGES: tuple[dict[str, Any], ...] = (
    {"valid_from": "2026-12-01T08:00:01Z"},
    {"valid_from": "2026-12-01T09:00:00Z"},
    {"valid_to": "2027-11-30T08:00:00Z"},
    {"valid_to": "2027-12-01T07:59:59Z"},
    {"schedule": "COUNT=6;FREQ=MONTHLY"},
    {"schedule": "FREQ=MONTHLY;COUNT=6;BYMONTHDAY=1"},
    {"schedule": None, "due_window": None},
    {"due_window": "P3DT1S"},
    {"due_window": "PT3H"},
    {"due_window": "PT3M"},
    {"max_individual_amount": {"amount": "50.01", "currency": "USD"}},
    {"max_total": {"amount": "301.00", "currency": "USD"}},
    {"max_total": None},
    {"max_occurrences": None},
    {"periodic_limits": None},
    {"periodic_limits": LIMITS["periodic_limits"] * 2},
    *(
        {"periodic_limits": [LIMITS["periodic_limits"][0] | change]}
        for change in (
            {"period_type": "year"},
            {"period_type": "half_year"},
            {"period_alignment": "calendar"},
            {"time_zone": "Europe/Berlin"},
            {"amount": "51.00"},
            {"max_count": 2},
        )
    ),
    {"periodic_limits": [LIMITS["periodic_limits"][0] | {"time_zone": "Asia/Tokyo"}]},
)


def test_every_constraint_is_said() -> None:
    sentences = {json.dumps(change): said(OPERATION, **change) for change in ({}, *CHANGES)}

    assert len(set(sentences.values())) == len(sentences)


@pytest.mark.parametrize("member", ["amount", "max_count"])
def test_a_limit_of_one_kind_is_said(member: str) -> None:
    limit = copy.deepcopy(LIMITS["periodic_limits"][0])
    del limit[member]
    limit = {n: v for n, v in limit.items() if not (member == "amount" and n == "currency")}

    assert said(OPERATION, periodic_limits=[limit]) != said(OPERATION)


def test_reads_well() -> None:
    assert said(OPERATION).partition(" Valid")[2] == (
        " from 01 Dec 2026 08:00 to 01 Dec 2027 08:00 UTC."
        " Runs 6 times by the schedule FREQ=MONTHLY;COUNT=6 (UTC)."
        " Each run within 3 days of its time."
        " Never more than 50.00 USD a run."
        " Never more than 50.00 USD, and at most once, in a rolling month (UTC)."
        " Never more than 300.00 USD in total."
        " At most 6 times in all."
    )


@pytest.mark.parametrize(
    ("window", "words"),
    [("PT1M", "1 minute"), ("P1DT12H", "1 day 12 hours"), ("PT1H1M1S", "1 hour 1 minute 1 second")],
)
def test_windows_are_said_in_words(window: str, words: str) -> None:
    assert f"within {words} of its time" in said(OPERATION, due_window=window)


def parties(client_id: str, executor: str = "savings", audience: str = "https://a/") -> str:
    return describe_parties(client_id=client_id, executor=executor, audience=audience)


def test_names_who_gets_the_token_and_who_acts() -> None:
    assert parties("trigger") == "Given to “trigger”, carried out by “savings” (“https://a/”)."
    assert parties("") == "Carried out by “savings” (“https://a/”)."


def test_parties_cannot_imitate_each_other() -> None:
    shown = [
        parties("a”, carried out by “b"),
        parties("a", "b"),
        parties("", "a”, carried out by “b"),
        parties("", "a", "b”).  (“"),
    ]

    assert len(set(shown)) == len(shown)
    assert shown[0].startswith("Given to “a\\”, carried out by \\“b”, carried out by ")
