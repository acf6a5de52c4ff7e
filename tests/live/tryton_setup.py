"""Fills a new Tryton database with what a small trading company has before its first order.

Run by the python of the test server's own virtual environment (proteus and trytond live there, not in
crmbridge's):  python tryton_setup.py CONFIG DATABASE ACCOUNTS.json

Made are: currencies, countries (with the subdivisions of a few), a company that keeps its books in EUR, a
fiscal year, a chart of accounts, an accounting category for goods, a payment term and three users: the
service user with just the groups that its README asks for, a clerk for what people do in Tryton, and a
guest without any group.
"""

import json
import sys
from pathlib import Path
from typing import Any

from proteus import Model, config
from trytond.modules.account.tests.tools import create_chart, create_fiscalyear, get_accounts
from trytond.modules.account_invoice.tests.tools import (
    create_payment_term,
    set_fiscalyear_invoice_sequences,
)
from trytond.modules.company.tests.tools import create_company, get_company
from trytond.modules.country.scripts import import_countries
from trytond.modules.currency.scripts import import_currencies
from trytond.modules.currency.tests.tools import get_currency

SERVICE_GROUPS = ("Accounting", "Account Product Administration", "Product Administration", "Sales", "Stock")
CLERK_GROUPS = (
    *SERVICE_GROUPS,
    "Accounting Administration",
    "Party Administration",
    "Sales Administrator",
    "Stock Administration",
)
SUBDIVISIONS_OF = ("CN", "DE", "US")  # all of them would take a minute and a half


def setup(config_file: str, database: str, accounts: dict[str, Any]) -> None:
    settings = config.set_trytond(database, config_file=config_file)
    import_currencies.update_currencies(import_currencies.get_currencies())
    countries = import_countries.update_countries(import_countries.get_countries())
    add_subdivisions(countries)
    currency = get_currency("EUR")
    create_company(currency=currency)
    company = get_company()
    settings._context = Model.get("res.user").get_preferences(True, settings.context)
    fiscal_year = set_fiscalyear_invoice_sequences(create_fiscalyear(company=company))
    fiscal_year.click("create_period")
    create_chart(company)
    add_category(get_accounts(company))
    create_payment_term().save()
    for name, groups in (("service", SERVICE_GROUPS), ("clerk", CLERK_GROUPS), ("guest", ())):
        add_user(accounts[name], company, groups)


def add_subdivisions(countries: dict[str, Any]) -> None:
    subdivision = Model.get("country.subdivision")
    subdivision.save(
        [
            subdivision(code=found.code, name=found.name, type=found.type.lower(), country=countries[code])
            for code in SUBDIVISIONS_OF
            for found in import_countries.pycountry.subdivisions.get(country_code=code)
        ]
    )


def add_category(ledger: dict[str, Any]) -> None:
    category = Model.get("product.category")(name="Goods", accounting=True)
    category.account_expense = ledger["expense"]
    category.account_revenue = ledger["revenue"]
    category.save()


def add_user(account: dict[str, str], company: Any, groups: tuple[str, ...]) -> None:
    group_model = Model.get("res.group")
    user = Model.get("res.user")(name=account["user"], login=account["user"], password=account["password"])
    for name in groups:
        (group,) = group_model.find([("name", "=", name)])
        user.groups.append(group)
    user.companies.append(Model.get("company.company")(company.id))
    user.company = company
    user.save()


if __name__ == "__main__":
    setup(sys.argv[1], sys.argv[2], json.loads(Path(sys.argv[3]).read_text()))
