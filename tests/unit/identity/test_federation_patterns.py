"""Laws of the patterns in mappings: they say what `re` says, and never take long."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.identity.federation.patterns import LONGEST, PatternError, pattern

ATOMS = ["a", "b", "A", "ß", ".", r"\.", r"\d", r"\W", r"\s", "[ab]", "[^a]", r"[a-c\d]", "[]^-]", "^", "$", r"\b", r"\B", r"\A", r"\Z", "\n", "(?i:a)",
         "(?-i:b)", "(?s:.)", "(?m:^)", "(?a:\\w)"]  # fmt: skip
REPEATS = ["*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,2}?", "{2,}"]


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    group = inner.map("(?:{})".format)
    return (
        st.builds("{}{}".format, inner, inner) | st.builds("{}|{}".format, inner, inner) | inner.map("({})".format)
        | st.builds("{}{}".format, group, st.sampled_from(REPEATS))
    )  # fmt: skip


patterns = st.recursive(st.sampled_from(ATOMS) | st.just(""), grown, max_leaves=6)
texts = st.text("abcA1ßẞ_. \n-]", max_size=7)


@settings(max_examples=600, deadline=None)
@given(patterns, st.sampled_from(["", "(?i)", "(?s)", "(?m)", "(?a)"]), st.lists(texts, max_size=4))
def test_a_pattern_is_found_where_re_finds_it(text, flags, values):
    for value in values:
        assert pattern(flags + text).found_in(value) is bool(re.search(flags + text, value)), (flags + text, value)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@settings(max_examples=300, deadline=None)
@given(st.text("ab.*+?{}()[]|^$\\dwi0129,:=!<>-", max_size=12))
def test_whatever_is_no_pattern_is_refused(text):
    try:
        re.compile(text)
    except (re.error, OverflowError):
        with pytest.raises(PatternError):
            pattern(text)


@pytest.mark.parametrize(
    "evil", ["(a+)+$", "(a|a)*$", "(a|aa)+$", "(.*a){12}$", "(a*)*b", "^(([a-z])+.)+[A-Z]([a-z])+$", "(?:a?){30}a{30}b"]
)
def test_no_pattern_takes_long(evil):
    began = time.process_time()
    pattern(evil).found_in("a" * 2000 + "!")
    assert time.process_time() - began < 10, "with backtracking this would outlive the sun"


@pytest.mark.parametrize(
    "refused", [r"(a)\1", "(?=a)", "(?!a)", "(?<=a)b", "(?>a+)", "a++", "(?P<n>a)(?P=n)", "(a)?(?(1)b|c)", "a{1000}", "(?:a{40}){40}", "x" * (LONGEST + 1)]
)  # fmt: skip
def test_what_cannot_be_matched_in_time_is_refused(refused):
    with pytest.raises(PatternError, match="pattern"):
        pattern(refused)


def test_nothing_however_often_is_nothing():
    assert pattern("(?:(?:){100000}){100000}x?").found_in("")
