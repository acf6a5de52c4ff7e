"""Words for a number reach a worksheet as the number that they stand for, and a text file as words."""

from pathlib import Path

from openpyxl import Workbook, load_workbook

from crmbridge.bridge import Bridge

CONFIG = """
state: sqlite:///state.db
systems:
  sales: {connector: files, path: sales, files: {products: {key: No, add_id: true}}}
  shop: {connector: files, path: shop, files: {products: {key: No, add_id: true}}}
sync: {product: {between: [shop, sales], authority: {name: [shop], weight: [shop]}}}
"""
MAPPING = """
stream: products
entity: product
fields:
  sku: Code
  name: Name
  weight: {fields: {value: {path: Weight, as: {decimal: ","}}}, const: {unit: kg}}
"""


def test_words_for_a_number_reach_a_worksheet_as_the_number(tmp_path: Path) -> None:
    (tmp_path / "crmbridge.yaml").write_text(CONFIG, encoding="utf-8")
    for system in ("sales", "shop"):
        (tmp_path / "mappings").mkdir(exist_ok=True)
        (tmp_path / system).mkdir()
        file = tmp_path / "mappings" / f"{system}.yaml"
        file.write_text(f"system: {system}\n{MAPPING}", encoding="utf-8")
    book = Workbook()
    book.active.append(["No", "Code", "Name", "Weight"])
    book.active.append(["a", "00417", "Cup", 0.25])
    book.save(tmp_path / "sales" / "products.xlsx")
    shop = tmp_path / "shop" / "products.csv"
    shop.write_text("No;Code;Name;Weight\n1;00417;Cup;0,345\n2;00418;Jug;1,500\n", encoding="utf-8")

    with Bridge.open(tmp_path / "crmbridge.yaml") as bridge:
        bridge.plan(out=tmp_path / "first.plan")
        assert bridge.apply(tmp_path / "first.plan").exit_code == 0

    rows = list(
        load_workbook(tmp_path / "sales" / "products.xlsx").active.iter_rows(min_row=2, values_only=True)
    )
    assert [row[1:] for row in rows] == [("00417", "Cup", 0.345), ("00418", "Jug", 1.5)]
    assert "0,345" in shop.read_text(encoding="utf-8")
