"""Makes recorded.json: SAML responses signed by other code than ours.

Usage: python3 sign.py > recorded.json

The canonical form comes from Python's own C14N 2.0, which without options
writes the same as Exclusive XML Canonicalization 1.0 of a whole document; the
signature from the package cryptography. Each assertion declares the namespaces
it uses itself, so that it canonicalizes alike alone and in its response.
"""

import base64
import datetime
import hashlib
import json
import sys
from xml.etree.ElementTree import canonicalize

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "recorded")])
certificate = (
    x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key()).serial_number(7)
    .not_valid_before(datetime.datetime(2020, 1, 1)).not_valid_after(datetime.datetime(2021, 1, 1)).sign(key, hashes.SHA256())
)
der = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()

SIGNED_INFO = """<SignedInfo xmlns="http://www.w3.org/2000/09/xmldsig#">
  <CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>
  <SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/>
  <Reference URI="#%s"><Transforms>
    <Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/><Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>
  </Transforms><DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><DigestValue>%s</DigestValue></Reference>
</SignedInfo>"""


def sign(element, identity):
    """Signs the one place @SIGNATURE@ of an element."""
    plain = canonicalize(element.replace("@SIGNATURE@", ""))
    digest = base64.b64encode(hashlib.sha256(plain.encode()).digest()).decode()
    info = SIGNED_INFO % (identity, digest)
    value = key.sign(canonicalize(info).encode(), padding.PKCS1v15(), hashes.SHA256())
    signature = '<Signature xmlns="http://www.w3.org/2000/09/xmldsig#">%s<SignatureValue>\n%s\n</SignatureValue></Signature>' % (
        info, base64.encodebytes(value).decode())
    return element.replace("@SIGNATURE@", signature)


ASSERTIONS = {
    "a default namespace, indented, with types": """<Assertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion" Version="2.0"
        IssueInstant='2026-01-02T03:04:05Z' ID="a1">
      <Issuer>https://idp.example/recorded</Issuer>@SIGNATURE@
      <Subject><NameID>zoë &amp; co</NameID><SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">
        <SubjectConfirmationData Recipient="https://signin.aws.amazon.com/saml" NotOnOrAfter="2026-01-02T03:09:05Z"/></SubjectConfirmation></Subject>
      <Conditions NotBefore="2026-01-02T03:04:05.123Z"><AudienceRestriction><Audience>urn:amazon:webservices</Audience></AudienceRestriction></Conditions>
      <AttributeStatement><Attribute NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri" Name="greeting">
        <AttributeValue xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xs="http://www.w3.org/2001/XMLSchema" xsi:type="xs:string">a &lt;b&gt; "c" 'd' é &#xD;</AttributeValue>
      </Attribute></AttributeStatement>
    </Assertion>""",
    "prefixes declared inside and twice": """<s:Assertion xmlns:s="urn:oasis:names:tc:SAML:2.0:assertion" xmlns:unused="urn:x" ID="a1" Version="2.0" IssueInstant="2026-01-02T03:04:05Z"
        ><s:Issuer xmlns:s="urn:oasis:names:tc:SAML:2.0:assertion">https://idp.example/recorded</s:Issuer>@SIGNATURE@<s:Subject
        ><s:NameID xml:lang="en" Format="urn:oasis:names:tc:SAML:2.0:nameid-format:transient">zoë &amp; co</s:NameID
        ><s:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><s:SubjectConfirmationData NotOnOrAfter="2026-01-02T03:09:05Z"
        Recipient="https://signin.aws.amazon.com/saml"></s:SubjectConfirmationData></s:SubjectConfirmation></s:Subject
        ><s:Conditions><s:AudienceRestriction><s:Audience>urn:amazon:webservices</s:Audience></s:AudienceRestriction></s:Conditions
        ><s:AttributeStatement><s:Attribute Name="greeting" b:z="1" a:z="2" xmlns:b="urn:a" xmlns:a="urn:b"
        ><s:AttributeValue><![CDATA[a <b> "c" 'd' é ]]>&#13;</s:AttributeValue
        ></s:Attribute></s:AttributeStatement></s:Assertion>""",
}

RESPONSE = """<?xml version="1.0" encoding="UTF-8"?>
<p:Response xmlns:p="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:other="urn:other" ID="r1" Version="2.0" IssueInstant="2026-01-02T03:04:05Z">%s
  <p:Status><p:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></p:Status>
  %s
</p:Response>
"""

cases = []
for name, assertion in ASSERTIONS.items():
    cases.append({"name": name + ", the assertion signed", "xml": RESPONSE % ("", sign(assertion, "a1"))})
    head, body = (RESPONSE % ("@SIGNATURE@", assertion.replace("@SIGNATURE@", ""))).split("\n", 1)
    cases.append({"name": name + ", the response signed", "xml": head + "\n" + sign(body.rstrip("\n"), "r1")})

json.dump({"certificate": der, "cases": cases}, sys.stdout, indent=1)
print()
