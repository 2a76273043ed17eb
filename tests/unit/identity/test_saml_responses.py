"""What is believed of an identity provider's answers, and what is not: by turns, each rule broken once."""

from __future__ import annotations

import copy
import datetime as dt
import typing as t

import pytest
from lxml import etree
from signxml.algorithms import CanonicalizationMethod
from signxml.signer import XMLSigner

from cumulet.identity.drivers.saml.documents import SamlError, parsed, written
from cumulet.identity.drivers.saml.keys import SigningKey, signing_key
from cumulet.identity.drivers.saml.metadata import Issuer, idp_metadata, read_issuer
from cumulet.identity.drivers.saml.responses import Said, Wanted, issuer_named, read_response

NOW = dt.datetime(2030, 1, 1, 12)
IDP, SP, URL = "https://idp.example/meta", "https://cloud.example/shibboleth", "https://cloud.example/Shibboleth.sso/SAML2/ECP"
WANTED = Wanted(SP, URL, "_asked", NOW)
NAMES = {
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
    "samlp": "urn:oasis:names:tc:SAML:2.0:protocol",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
}
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
ASSERTION = """<saml:Assertion xmlns:saml="{saml}" ID="{id}" Version="2.0" IssueInstant="2030-01-01T12:00:00Z">
<saml:Issuer>{idp}</saml:Issuer><ds:Signature xmlns:ds="{ds}" Id="placeholder"/>
<saml:Subject><saml:NameID>{user}</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">
<saml:SubjectConfirmationData InResponseTo="_asked" NotOnOrAfter="2030-01-01T12:05:00Z" Recipient="{url}"/>
</saml:SubjectConfirmation></saml:Subject>
<saml:Conditions NotBefore="2030-01-01T11:59:00Z" NotOnOrAfter="2030-01-01T12:05:00Z"><saml:AudienceRestriction>
<saml:Audience>{sp}</saml:Audience></saml:AudienceRestriction></saml:Conditions>
<saml:AuthnStatement AuthnInstant="2030-01-01T12:00:00Z"><saml:AuthnContext/></saml:AuthnStatement>
<saml:AttributeStatement><saml:Attribute Name="urn:oid:0.9" FriendlyName="mail"><saml:AttributeValue>{user}@example</saml:AttributeValue>
</saml:Attribute><saml:Attribute Name="groups"><saml:AttributeValue>a;b</saml:AttributeValue><saml:AttributeValue>c</saml:AttributeValue>
</saml:Attribute></saml:AttributeStatement></saml:Assertion>"""
RESPONSE = """<samlp:Response xmlns:samlp="{samlp}" xmlns:saml="{saml}" ID="_response" Version="2.0" InResponseTo="_asked"
 IssueInstant="2030-01-01T12:00:00Z" Destination="{url}"><saml:Issuer>{idp}</saml:Issuer>{signature}<samlp:Status>
<samlp:StatusCode Value="{success}"/></samlp:Status>{assertion}</samlp:Response>"""


@pytest.fixture(scope="module")
def key(tmp_path_factory) -> SigningKey:
    return signing_key(tmp_path_factory.mktemp("idp") / "key.pem")


@pytest.fixture(scope="module")
def issuer(key) -> Issuer:
    return read_issuer(written(idp_metadata(IDP, "https://idp.example/sso", key)))


def assertion(user: str = "ada", id: str = "_assertion") -> t.Any:
    return etree.fromstring(ASSERTION.format(**NAMES, id=id, idp=IDP, sp=SP, url=URL, user=user))


def signed(node: t.Any, key: SigningKey, **how: t.Any) -> t.Any:
    signer = XMLSigner(c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0, **how)
    return signer.sign(node, key=key.private, cert=[key.certificate], reference_uri=f"#{node.get('ID')}", id_attribute="ID")


def unsigned(node: t.Any) -> t.Any:
    for one in node.findall("ds:Signature", NAMES):
        node.remove(one)
    return node


def response(*assertions: t.Any, signature: str = "") -> t.Any:
    inside = b"".join(etree.tostring(one) for one in assertions).decode()
    return etree.fromstring(RESPONSE.format(**NAMES, idp=IDP, url=URL, success=SUCCESS, assertion=inside, signature=signature))


def good(key: SigningKey) -> t.Any:
    return response(signed(assertion(), key))


def read(node: t.Any, issuer: Issuer, wanted: Wanted = WANTED, **how: t.Any) -> Said:
    return read_response(parsed(etree.tostring(node)), issuer, wanted, **how)


def test_what_an_assertion_says(key, issuer):
    said = read(good(key), issuer)
    assert (said.id, said.issuer, said.name_id) == ("_assertion", IDP, "ada")
    assert said.attributes == {"urn:oid:0.9": ["ada@example"], "mail": ["ada@example"], "groups": ["a;b", "c"]}
    assert dt.datetime(2030, 1, 1, 12, 5) <= said.ends <= dt.datetime(2030, 1, 1, 12, 7)
    assert issuer_named(good(key)) == IDP


def test_a_signature_of_the_response_covers_its_assertion(key, issuer):
    whole = response(unsigned(assertion()), signature='<ds:Signature xmlns:ds="{ds}" Id="placeholder"/>'.format(**NAMES))
    assert read(signed(whole, key), issuer).name_id == "ada"
    both = response(signed(assertion(), key), signature='<ds:Signature xmlns:ds="{ds}" Id="placeholder"/>'.format(**NAMES))
    assert read(signed(both, key), issuer).name_id == "ada"


def changed(path: str, attribute: str, value: str | None) -> t.Callable[[t.Any], None]:
    def change(node: t.Any) -> None:
        for found in [node] if path == "." else node.findall(path, NAMES):
            if value is None:
                found.attrib.pop(attribute, None)
            elif attribute == "":
                found.text = value
            else:
                found.set(attribute, value)

    return change


DATA = ".//saml:SubjectConfirmationData"
REFUSED = {
    "another audience": (changed(".//saml:Audience", "", "https://other.example"), "audience"),
    "another recipient": (changed(DATA, "Recipient", "https://other.example/acs"), "recipient"),
    "no recipient": (changed(DATA, "Recipient", None), "recipient"),
    "another question": (changed(DATA, "InResponseTo", "_other"), "another request"),
    "no question": (changed(DATA, "InResponseTo", None), "another request"),
    "no end": (changed(DATA, "NotOnOrAfter", None), "no end"),
    "ended": (changed(DATA, "NotOnOrAfter", "2030-01-01T11:58:00Z"), "ended"),
    "ended by its conditions": (changed(".//saml:Conditions", "NotOnOrAfter", "2030-01-01T11:58:00Z"), "ended"),
    "not yet": (changed(".//saml:Conditions", "NotBefore", "2030-01-01T12:10:00Z"), "not good before"),
    "session ended": (changed(".//saml:AuthnStatement", "SessionNotOnOrAfter", "2030-01-01T11:00:00Z"), "ended"),
    "no moment": (changed(DATA, "NotOnOrAfter", "tomorrow"), "no moment"),
    "another way to confirm": (changed(".//saml:SubjectConfirmation", "Method", "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"), "bearer"),
    "another issuer": (changed("saml:Issuer", "", "https://evil.example"), "issuer"),
    "another version": (changed(".", "Version", "1.1"), "version"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_assertion_that_is_signed_and_still_not_for_here_and_now(key, issuer, name):
    change, reason = REFUSED[name]
    node = assertion()
    change(node)
    with pytest.raises(SamlError, match=reason):
        read(response(signed(node, key)), issuer)


def test_conditions_that_are_not_known_are_not_met(key, issuer):
    node = assertion()
    etree.SubElement(node.find("saml:Conditions", NAMES), "{urn:x}Weather").text = "fine"
    with pytest.raises(SamlError, match="condition"):
        read(response(signed(node, key)), issuer)


def test_an_answer_without_a_question_is_taken_only_as_one(key, issuer):
    """The other way round it would pass for an answer to any."""
    node = assertion()
    del node.find(DATA, NAMES).attrib["InResponseTo"]
    assert read(response(signed(node, key)), issuer, WANTED._replace(answers=None)).name_id == "ada"
    with pytest.raises(SamlError, match="not made here"):
        read(good(key), issuer, WANTED._replace(answers=None))


def test_what_is_not_signed(key, issuer):
    with pytest.raises(SamlError, match="no signature"):
        read(response(unsigned(assertion())), issuer)


def test_what_another_key_signed(key, issuer, tmp_path):
    """Its certificate comes along in the signature, and counts for nothing."""
    with pytest.raises(SamlError, match="signature is not good"):
        read(good(signing_key(tmp_path / "other.pem")), issuer)


def test_what_was_changed_after_it_was_signed(key, issuer):
    for old, new in ((b">ada<", b">eve<"), (b">a;b<", b">admins<"), (b"ada@example", b"eve@example")):
        with pytest.raises(SamlError, match="signature is not good"):
            read(etree.fromstring(etree.tostring(good(key)).replace(old, new)), issuer)


def test_a_second_assertion_beside_the_signed_one(key, issuer):
    evil = unsigned(assertion("eve", "_evil"))
    for pair in ((evil, signed(assertion(), key)), (signed(assertion(), key), evil)):
        with pytest.raises(SamlError, match="2 saml:Assertion"):
            read(response(*pair), issuer)


def wrapped(key: SigningKey, place: str, id: str) -> t.Any:
    """An evil assertion with the signature of a good one, which is kept in it somewhere."""
    original = signed(assertion(), key)
    signature = copy.deepcopy(original.find("ds:Signature", NAMES))
    evil = unsigned(assertion("eve", id))
    evil.insert(1, signature)
    if place == "object":
        etree.SubElement(signature, f"{{{NAMES['ds']}}}Object").append(original)
    elif place == "advice":
        etree.SubElement(evil, f"{{{NAMES['saml']}}}Advice").append(original)
    elif place == "value":
        evil.find(".//saml:AttributeValue", NAMES).append(original)
    return evil


@pytest.mark.parametrize("place", ["object", "advice", "value", "nowhere"])
@pytest.mark.parametrize("id", ["_evil", "_assertion"])
def test_the_signature_of_an_assertion_that_is_wrapped_in_another(key, issuer, place, id):
    try:
        said = read(response(wrapped(key, place, id)), issuer)
    except SamlError:
        return
    assert said.name_id == "ada"  # what was signed may be read; what was not, never


def test_a_signed_assertion_moved_out_of_the_way(key, issuer):
    """The assertion in its place is not signed; the signed one is elsewhere in the response, and the other way round."""
    node = response(unsigned(assertion("eve", "_evil")))
    extensions = etree.Element(f"{{{NAMES['samlp']}}}Extensions")
    extensions.append(signed(assertion(), key))
    node.insert(1, extensions)
    with pytest.raises(SamlError, match="no signature"):
        read(node, issuer)
    inner = good(key)
    outer = response(unsigned(assertion("eve", "_evil")))
    etree.SubElement(outer, f"{{{NAMES['samlp']}}}Extensions").append(inner)
    with pytest.raises(SamlError, match="no signature"):
        read(outer, issuer)


def test_a_signed_response_wrapped_in_another(key, issuer):
    place = '<ds:Signature xmlns:ds="{ds}" Id="placeholder"/>'.format(**NAMES)
    original = signed(response(unsigned(assertion()), signature=place), key)
    for id in ("_response", "_evil"):
        evil = response(unsigned(assertion("eve", "_evil2")))
        evil.set("ID", id)
        signature = copy.deepcopy(original.find("ds:Signature", NAMES))
        etree.SubElement(signature, f"{{{NAMES['ds']}}}Object").append(copy.deepcopy(original))
        evil.insert(1, signature)
        with pytest.raises(SamlError, match="signature"):
            read(evil, issuer)


def test_a_comment_in_a_name_does_not_cut_it_short(key, issuer):
    """The classic: who may call themselves `ada<!---->.eve.example` is not to pass for `ada`."""
    raw = etree.tostring(response(signed(assertion("ada.eve.example"), key))).replace(b"ada.eve", b"ada<!-- -->.eve")
    assert read_response(parsed(raw), issuer, WANTED).name_id == "ada.eve.example"


def test_sha_1_is_taken_from_those_alone_of_whom_it_is_known(key, issuer):
    class Old(XMLSigner):
        def check_deprecated_methods(self) -> None: ...

    signer = Old(
        signature_algorithm="rsa-sha1", digest_algorithm="sha1", c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0
    )
    node = signer.sign(assertion(), key=key.private, cert=[key.certificate], reference_uri="#_assertion", id_attribute="ID")
    with pytest.raises(SamlError, match="forbidden"):
        read(response(node), issuer)
    assert read(response(node), issuer, sha1=True).name_id == "ada"


def test_a_signature_with_a_key_that_everybody_has(key, issuer):
    """An HMAC keyed with the public certificate."""
    signer = XMLSigner(signature_algorithm="hmac-sha256", c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0)
    node = signer.sign(assertion(), key=key.encoded.encode(), reference_uri="#_assertion", id_attribute="ID")
    with pytest.raises(SamlError, match="forbidden"):
        read(response(node), issuer)


def test_a_refusal_is_told(key, issuer):
    node = good(key)
    code = node.find("samlp:Status/samlp:StatusCode", NAMES)
    code.set("Value", "urn:oasis:names:tc:SAML:2.0:status:Responder")
    etree.SubElement(code, code.tag).set("Value", "urn:oasis:names:tc:SAML:2.0:status:AuthnFailed")
    etree.SubElement(code.getparent(), f"{{{NAMES['samlp']}}}StatusMessage").text = "wrong password"
    with pytest.raises(SamlError, match="Responder AuthnFailed wrong password"):
        read(node, issuer)


def test_what_is_encrypted_is_not_taken(issuer):
    node = response(etree.Element(f"{{{NAMES['saml']}}}EncryptedAssertion"))
    with pytest.raises(SamlError, match="encrypted"):
        read(node, issuer)


LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10 if i else "ha"}">' for i in range(12))
HOSTILE = {
    "billion laughs": f"<!DOCTYPE r [{LAUGHS}]><r>&l11;</r>",
    "a file": '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>',
    "a document type elsewhere": '<!DOCTYPE r SYSTEM "http://127.0.0.1:1/evil.dtd"><r/>',
    "a parameter entity": '<!DOCTYPE r [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]><r/>',
    "an empty document type": "<!DOCTYPE r><r/>",
    "an unknown entity": "<r>&nothing;</r>",
    "no XML": "SAMLResponse=x",
    "nothing": "",
    "depth": "<r>" * 100_000,
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xml_that_is_an_attack_is_not_read(name, encoding):
    """Were an entity expanded, this would take minutes, and gigabytes."""
    with pytest.raises(SamlError):
        parsed(HOSTILE[name].encode(encoding))


METADATA = {
    "no provider": b'<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="x"/>',
    "no certificate": b'<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="x"><md:IDPSSODescriptor/></md:EntityDescriptor>',
    "no XML": b"-",
}


@pytest.mark.parametrize("name", METADATA)
def test_metadata_that_is_none(name):
    with pytest.raises(SamlError):
        read_issuer(METADATA[name])


def test_metadata_among_that_of_others(key):
    one = written(idp_metadata(IDP, "https://idp.example/sso", key)).decode()
    space = 'xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata"'
    sp = f'<md:EntityDescriptor {space} entityID="sp"><md:SPSSODescriptor/></md:EntityDescriptor>'
    assert read_issuer(f"<md:EntitiesDescriptor {space}>{sp}{one}</md:EntitiesDescriptor>".encode()).entity == IDP
    with pytest.raises(SamlError, match="2 "):
        read_issuer(f"<md:EntitiesDescriptor {space}>{one}{one}</md:EntitiesDescriptor>".encode())
