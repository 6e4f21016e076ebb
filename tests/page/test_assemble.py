import re
from collections import Counter

from moe_vae.page import assemble
from moe_vae.page.assemble import DIRECTORY, assemble_page

TEXT = assemble_page({"name": "</script><!--"}).decode()


def test_every_script_is_in_the_page_after_what_it_imports():
    names = [path.stem for path in (DIRECTORY / "scripts").glob("*.js")]
    assert sorted(names) == sorted(assemble._SCRIPTS)
    places = {name: TEXT.index(f"// {name}.js\n") for name in names}
    for name in names:
        text = (DIRECTORY / "scripts" / f"{name}.js").read_text()
        for imported in re.findall(r'from "\./(\w+)\.js"', text):
            assert places[imported] < places[name]


def test_no_import_or_export_is_left():
    assert not re.search(r"^\s*(import|export)\b", TEXT, re.MULTILINE)


def test_no_two_scripts_use_a_name_at_the_top():
    # All of them become one script.
    names = re.findall(r"^(?:async )?(?:const|let|function|class) (\w+)", TEXT, re.MULTILINE)
    assert len(names) > 50
    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_an_imported_name_is_exported_by_its_script():
    scripts = {path.stem: path.read_text() for path in (DIRECTORY / "scripts").glob("*.js")}
    for name, text in scripts.items():
        imports = re.findall(r'import \{ ([^}]+) \} from "\./(\w+)\.js"', text)
        assert imports or "import" not in text.split("\n\n")[1]
        for names, source in imports:
            for each in names.split(", "):
                exported = rf"^export (?:async )?(?:const|function|class) {each}\b"
                assert re.search(exported, scripts[source], re.MULTILINE), (name, each)
                assert len(re.findall(rf"\b{each}\b", text)) > 1, f"{name} does not use {each}"


def test_the_data_cannot_end_their_element():
    assert TEXT.count("</script>") == 2
    assert '{"name":"\\u003c/script>\\u003c!--"}' in TEXT


def test_no_address_is_in_the_page():
    addresses = re.findall(r"\w+://[^\s\"')]+", TEXT)
    assert set(addresses) == {"http://www.w3.org/2000/svg"}  # the name of a kind of element
    assert "default-src 'none'" in TEXT
