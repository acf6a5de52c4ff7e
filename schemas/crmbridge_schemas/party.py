"""Parties: people, organizations and households, whatever their role, and how they are related.

A customer, a supplier and a contact person are one type with roles, as in UBL 2.3 `Party`, SAP's business
partner and Tryton's party: one company is often several of them. Names of fields follow schema.org
`Person`, `Organization`, `ContactPoint` and UBL `Address`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, StringConstraints

from crmbridge_schemas.base import (
    CountryCode,
    Day,
    Element,
    Entity,
    Identifier,
    Instant,
    Meta,
    Money,
    NonEmpty,
    Ref,
    Text,
    Value,
)

__all__ = [
    "Address",
    "AddressParts",
    "Consent",
    "ContactPoint",
    "Locale",
    "Party",
    "PartyRelation",
    "PartyRole",
    "PostalAddress",
    "RegionCode",
    "country_of",
]

Locale = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")]
"""BCP 47 language tag: `de`, `de-CH`, `zh-Hans-CN`."""

RegionCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}-[A-Z0-9]{1,3}$")]
"""ISO 3166-2: `DE-BY`, `CN-GD`, `US-CA`."""


class PartyRole(Element):
    """What a party is to us (SAP business partner role; UBL names the role by the document's field)."""

    role: Annotated[
        Literal[
            "customer",
            "prospect",
            "supplier",
            "distributor",
            "partner",
            "employee",
            "household",
            "competitor",
        ],
        Meta(merge_key=True),
    ]
    """`customer` has bought or may buy, `prospect` is being won, `supplier` sells to us, `distributor`
    resells, `partner` works with us, `employee` works for us, `household` groups people, `competitor` is
    watched (SAP business partner role)."""


class Consent(Value):
    """Whether one may write or call for advertising, and how we know (GDPR Art. 7; PIPL Art. 14)."""

    state: Literal["granted", "denied", "withdrawn"]
    """`granted`: opted in; `denied`: was asked and said no; `withdrawn`: had opted in and took it back
    (GDPR Art. 4(11) and 7(3))."""
    at: Instant | None = None
    """When it was said (GDPR Art. 7(1))."""
    source: Text | None = None
    """Where it was said: the form, call or document that proves it (GDPR Art. 7(1))."""


class ContactPoint(Element):
    """A way to reach a party (schema.org `ContactPoint`; UBL `Contact`, `OtherCommunication`).

    At first contact two are one where the value and the class of type agree; `phone` and `mobile` are one
    class, since many systems cannot tell them apart.
    """

    type: Annotated[
        Literal[
            "phone",
            "mobile",
            "fax",
            "email",
            "website",
            "wechat",
            "whatsapp",
            "line",
            "telegram",
            "qq",
            "weibo",
            "facebook",
            "instagram",
            "linkedin",
            "x",
            "skype",
            "sip",
            "irc",
            "xmpp",
            "other",
        ],
        Meta(merge_key=True, merge_as=(("mobile", "phone"),)),
    ]
    """The channel (UBL `ChannelCode`)."""
    value: Annotated[NonEmpty, Meta(merge_key=True, identity="contact", personal="contact")]
    """The number (E.164 where it can be read as one: ITU-T E.164), e-mail address (RFC 5322), open-id,
    handle or
    URL; otherwise as the system has it."""
    purpose: Literal["work", "private", "billing", "shipping", "support", "other"] | None = None
    """What it is for (schema.org `contactType`)."""
    label: Annotated[Text | None, Meta(personal="content")] = None
    """What people call it: "reception", "direct line" (no standard; `X-ABLabel` in vCards of Apple)."""
    preferred: bool | None = None
    """The one to use first of its type (vCard 4 `PREF`, RFC 6350)."""
    verified: bool | None = None
    """The party proved that it is theirs (OpenID Connect `email_verified`, `phone_number_verified`)."""
    masked: bool | None = None
    """The system shows only part of it (`138****1234`, a marketplace's relay address): never evidence of
    identity (no standard)."""
    consent: Annotated[Consent | None, Meta(survivorship="consent")] = None
    """Whether it may be used for advertising (GDPR Art. 6(1)(a))."""


class AddressParts(BaseModel):
    """The parts of a postal address (UBL `Address`, schema.org `PostalAddress`)."""

    recipient: Annotated[Text | None, Meta(personal="name")] = None
    """Who is written above the address where it is not the party's name (UBL `MarkAttention`)."""
    lines: Annotated[list[Text] | None, Meta(merge_key=True, merge_alike=True, personal="location")] = None
    """Street, number, building, floor: as many lines as there are, top first (UBL `AddressLine`; one
    value)."""
    city: Annotated[Text | None, Meta(merge_alike=True, personal="location")] = None
    """City, town or village; in China the 市 (UBL `CityName`)."""
    district: Annotated[Text | None, Meta(personal="location")] = None
    """Part of a city: in China the 区 or 县 (UBL `CitySubdivisionName`)."""
    province: Annotated[Text | None, Meta(personal="location")] = None
    """Name of the state or province as written; in China the 省 (UBL `CountrySubentity`)."""
    region: Annotated[RegionCode | None, Meta(personal="location")] = None
    """Code of the state or province, ISO 3166-2 (UBL `CountrySubentityCode`)."""
    postal_code: Annotated[Text | None, Meta(merge_key=True, personal="location")] = None
    """Postal code as written in its country (UBL `PostalZone`)."""
    country: CountryCode | None = None
    """ISO 3166-1 alpha-2 (UBL `Country/IdentificationCode`)."""
    gln: Text | None = None
    """GS1 Global Location Number, 13 digits."""


class Address(AddressParts, Element):
    """An address of a party. At first contact two are one where lines and postal code agree, or where one
    only says less than the other and neither could be meant by a third."""

    role: Annotated[
        Literal["main", "billing", "shipping", "home", "work", "registered", "other"] | None,
        Meta(merge_apart=True),
    ] = None
    """What it is used for (UBL `AddressTypeCode`, and the document fields `DeliveryAddress`,
    `RegistrationAddress`)."""


HOME = ("main", "registered", "home", "work", "billing", None, "other", "shipping")
"""Roles of addresses: of several countries, that of the first of these is where the party is at home."""


def country_of(party: Mapping[str, Any]) -> str | None:
    """The country of a canonical party by its addresses, ISO 3166-1 alpha-2; None where none says it."""
    said = [one for one in party.get("addresses") or () if _is_code(one.get("country"))]
    home = min(said, key=lambda one: HOME.index(one.get("role")), default=None)
    return str(home["country"]) if home else None


def _is_code(country: Any) -> bool:
    return isinstance(country, str) and len(country) == 2 and country.isalpha() and country.isupper()


class PostalAddress(AddressParts, Value):
    """An address as copied onto a document: it stays what it was when the party moves."""


class Party(Entity):
    """A person, organization or household that we deal with (UBL 2.3 `Party`; schema.org `Person`,
    `Organization`).

    Nothing computed is kept here: what analysis finds is an insight.
    """

    entity_name: ClassVar[str] = "party"
    experimental: ClassVar[bool] = False
    matched: ClassVar[bool] = True

    kind: Literal["person", "organization"] | None = None
    """Whether it is a natural person or an organization (UBL `Person` against `PartyLegalEntity`)."""
    roles: list[PartyRole] | None = None
    """What it is to us; each role comes and goes by itself (SAP business partner roles)."""
    display_name: Annotated[Text | None, Meta(identity="name", personal="name")] = None
    """The whole name as its bearer writes it, in its own order and script (schema.org `name`, UBL
    `PartyName`)."""
    legal_name: Annotated[Text | None, Meta(identity="name", personal="name")] = None
    """The name in the register or passport, where it differs (schema.org `legalName`, UBL
    `RegistrationName`)."""
    given_name: Annotated[Text | None, Meta(identity="name", personal="name")] = None
    """Given name, only where a system keeps it apart; never guessed from the whole name (schema.org
    `givenName`)."""
    family_name: Annotated[Text | None, Meta(identity="name", personal="name")] = None
    """Family name, likewise (schema.org `familyName`, UBL `FamilyName`)."""
    identifiers: list[Identifier] | None = None
    """Tax, register and customer numbers (UBL `PartyIdentification`, `PartyTaxScheme/CompanyID`)."""
    contact_points: list[ContactPoint] | None = None
    """How to reach it (schema.org `contactPoint`)."""
    addresses: list[Address] | None = None
    """Where it is, and where bills and parcels go (UBL `PostalAddress`)."""
    parent: Annotated[Ref | None, Meta(refers_to="party")] = None
    """The organization or household of which it is a part (schema.org `parentOrganization`)."""
    lifecycle_stage: Text | None = None
    """How far the relation has come, in the words of the CRM: `lead`, `qualified`, `customer` ...
    (HubSpot `lifecyclestage`)."""
    owner: Annotated[Text | None, Meta(personal="contact")] = None
    """Our person in charge: login or e-mail address (Salesforce `Account.OwnerId`)."""
    locale: Locale | None = None
    """The language to write in (UBL `Language/LocaleCode`)."""
    birth_date: Annotated[Day | None, Meta(identity="birth", personal="birth")] = None
    """Date of birth of a person (schema.org `birthDate`)."""
    credit_limit: Annotated[Money | None, Meta(personal="financial")] = None
    """How much it may owe us, with its currency; said by the ERP (Odoo `res.partner.credit_limit`)."""
    open_balance: Annotated[Money | None, Meta(personal="financial")] = None
    """What it owes us now, by the ERP's books; negative: we owe (Tryton `party.receivable`)."""
    payment_terms: Annotated[Text | None, Meta(personal="financial")] = None
    """When it must pay: the ERP's code or words, `net 30` (UBL `PaymentTerms`)."""
    price_list: Text | None = None
    """Code of the price list that it buys by; the `price_list` of prices (Odoo
    `property_product_pricelist`)."""
    note: Annotated[Text | None, Meta(personal="content")] = None
    """What people wrote about it (vCard 4 `NOTE`)."""


class PartyRelation(Entity):
    """How one party is related to another (SAP business partner relationship; schema.org `worksFor`,
    `subOrganization`)."""

    entity_name: ClassVar[str] = "party_relation"
    natural_key: ClassVar[tuple[str, ...]] = ("from_party", "to_party", "type")

    from_party: Annotated[Ref | None, Meta(refers_to="party", required=True)] = None
    """The one who is something: the contact person, the subsidiary, the agent (one partner of an SAP
    business partner relationship)."""
    to_party: Annotated[Ref | None, Meta(refers_to="party", required=True)] = None
    """The one to whom it is that (the other partner of an SAP business partner relationship)."""
    type: Annotated[
        Literal["contact_of", "subsidiary_of", "household_of", "distributor_of", "agent_of"] | None,
        Meta(required=True),
    ] = None
    """What `from_party` is to `to_party` (SAP `RelationshipCategory`)."""
    job_title: Annotated[Text | None, Meta(personal="content")] = None
    """What a contact person does there (schema.org `jobTitle`)."""
    department: Text | None = None
    """Where in the organization (vCard 4 `ORG`)."""
    valid_from: Day | None = None
    """First day of the relation (SAP `ValidityStartDate`)."""
    valid_to: Day | None = None
    """Last day of the relation (SAP `ValidityEndDate`)."""
