"""Every door for files and values, given what a corpus and hypothesis make up."""

import ast
import gzip
import json
import re
import string
import time
from pathlib import Path

import bad_files
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moe_vae import (
    CONDITIONAL_VAE_PARAMS,
    MIXTURE_OF_VAES_PARAMS,
    DataError,
    DataSet,
    ParameterError,
)
from moe_vae.cli import options
from moe_vae.cli.main import parser_of
from moe_vae.data.checks import check_codes
from moe_vae.files import one_line, shown
from moe_vae.params import check_params

ROOT = Path(__file__).parents[1]
SECONDS = 1.0
quick = settings(
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
PARSER = parser_of("moe-vae")
each_reader = pytest.mark.parametrize("kind", bad_files.READERS)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def read(kind, path, content):
    """Reads a file of these bytes; any error but the reader's own fails."""
    reader = bad_files.READERS[kind]
    file = path / reader.name
    file.write_bytes(content)
    start = time.process_time()
    try:
        return reader.read(file)
    except reader.error as error:
        line = str(error)
    finally:
        assert time.process_time() - start < SECONDS
    assert "\n" not in one_line(line)
    assert file.name in line
    return None


@each_reader
def test_a_good_file_is_read(kind, tmp_path):
    if bad_files.READERS[kind].good:
        assert read(kind, tmp_path, bad_files.READERS[kind].good) is not None


@each_reader
def test_the_corpus_is_refused(kind, tmp_path):
    for content in bad_files.bad_files(kind):
        assert read(kind, tmp_path, content) is None, content[:200]


@each_reader
@quick
@given(data=st.data())
def test_changed_bytes_are_read_or_refused(kind, tmp_path, data):
    content = bytearray(bad_files.READERS[kind].good or b"PK")
    places = st.integers(0, len(content) - 1)
    for place in data.draw(st.lists(places, max_size=6)):
        content[place] = data.draw(st.integers(0, 255))
    read(kind, tmp_path, bytes(content) + data.draw(st.binary(max_size=8)))


@quick
@given(header=st.binary(max_size=24), rest=st.binary(max_size=24))
def test_any_bytes_in_a_gzipped_file_are_read_or_refused(tmp_path, header, rest):
    read("gzip", tmp_path, gzip.compress(b"\0\0" + header, mtime=0) + rest)


@pytest.mark.parametrize(
    ("kind", "good"),
    [
        ("manifest", bad_files.MANIFEST),
        ("record", bad_files.RECORD),
        ("cluster", bad_files.CLUSTER),
    ],
)
@quick
@given(data=st.data())
def test_any_values_in_a_file_are_read_or_refused(kind, good, tmp_path, data):
    keys = st.sampled_from([*good, "another"])
    changes = data.draw(st.dictionaries(keys, anything, max_size=3))
    read(kind, tmp_path, json.dumps({**good, **changes}).encode())


@quick
@given(changes=st.dictionaries(st.sampled_from([*bad_files.VALUES]), anything, max_size=2))
def test_any_values_in_a_state_are_read_or_refused(tmp_path, changes):
    values = json.dumps({**bad_files.VALUES, **changes})
    read("state", tmp_path, bad_files.state(values=values))


@pytest.mark.parametrize("defaults", [CONDITIONAL_VAE_PARAMS, MIXTURE_OF_VAES_PARAMS])
@quick
@given(data=st.data())
def test_any_parameter_is_taken_or_refused(defaults, data):
    params = data.draw(st.dictionaries(st.sampled_from([*defaults, "x"]), anything, max_size=3))
    try:
        checked = check_params(params, defaults)
    except ParameterError:
        return
    assert checked.keys() == defaults.keys()
    assert json.loads(json.dumps(checked)) is not None


@quick
@given(text=st.text(max_size=20), value=st.text(max_size=20))
def test_any_setting_is_read(text, value):
    name, _ = options.assignment(f"{text}={value}")
    assert name == text.partition("=")[0]


@quick
@given(words=st.lists(st.text(string.printable, max_size=12), max_size=4))
def test_any_words_are_parsed_or_refused(words, capsys):
    code = 0
    try:
        PARSER.parse_args(words)
    except SystemExit as end:
        code = end.code
    error = capsys.readouterr().err
    assert code in (0, 2)
    assert len(error.splitlines()) == (1 if code else 0)


@quick
@given(codes=anything)
def test_any_codes_are_taken_or_refused(codes):
    try:
        check_codes(codes, 2)
    except DataError:
        return
    assert np.shape(codes)[1] == 2


@quick
@given(images=anything, labels=anything)
def test_any_arrays_are_a_data_set_or_refused(images, labels):
    with pytest.raises(DataError):
        DataSet(images, labels)


@quick
@given(value=anything)
def test_any_value_is_shown_in_one_short_line(value):
    text = shown(value)
    assert len(text) < 100
    assert "\n" not in text


# What never stands in the package.

FORBIDDEN = {
    "eval",
    "exec",
    "pickle",
    "cPickle",
    "dill",
    "joblib",
    "marshal",
    "shelve",
    "yaml",
    "__import__",
}


def names_in(source):
    """Yields the names that a module calls or imports, and its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id, node.lineno
        elif isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0], node.lineno


def test_nothing_is_unpickled_evaluated_or_read_as_unsafe_yaml():
    sources = [*ROOT.glob("moe_vae/**/*.py"), *ROOT.glob("docker/*.py"), *ROOT.glob("docs/*.py")]
    assert len(sources) > 150
    for path in sources:
        text = path.read_text()
        found = [(name, line) for name, line in names_in(text) if name in FORBIDDEN]
        assert not found, (path, found)
        assert not re.search(r"allow_pickle\s*=\s*True|yaml\.(unsafe_)?load\(", text), path
        for call in re.findall(r"np\.load\(([^)]*)\)", text):
            assert "allow_pickle=False" in call, (path, call)
