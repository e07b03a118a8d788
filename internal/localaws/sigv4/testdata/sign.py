"""Signs requests with botocore and prints them as JSON.

    python3 testdata/sign.py > testdata/botocore.json

Clock, keys and requests are fixed, so that the output changes only with
botocore's rules.
"""
import base64
import datetime
import json
import sys

import botocore
import botocore.auth
import botocore.awsrequest
import botocore.compat
import botocore.credentials

NOW = datetime.datetime(2026, 3, 4, 5, 6, 7)
LONG = botocore.credentials.Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
TEMP = botocore.credentials.Credentials(
    "ASIAEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEYt", "FwoGZXIvYXdzE+/token==with%odd  chars")


class Clock(datetime.datetime):
    @classmethod
    def utcnow(cls):
        return NOW

    @classmethod
    def now(cls, tz=None):
        return NOW.replace(tzinfo=tz)


botocore.auth.datetime = type("module", (), {"datetime": Clock})
if hasattr(botocore.auth, "get_current_datetime"):
    botocore.auth.get_current_datetime = lambda remove_tzinfo=True: NOW

FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
CASES = [
    ("query by POST", "SigV4Auth", LONG, "sts", "POST", "https://sts.us-east-1.amazonaws.com/", FORM, b"Action=GetCallerIdentity&Version=2011-06-15"),
    ("temporary key", "SigV4Auth", TEMP, "iam", "POST", "https://iam.amazonaws.com/", FORM, b"Action=ListRoles"),
    ("json", "SigV4Auth", LONG, "secretsmanager", "POST", "http://127.0.0.1:7171/", {"X-Amz-Target": "secretsmanager.GetSecretValue"}, b"{}"),
    ("rest path", "SigV4Auth", TEMP, "eks", "GET", "https://eks.us-east-1.amazonaws.com/tags/arn%3Aaws%3Aeks%3Aus-east-1%3A1%3Acluster%2Fci%20x?a=%20&b=%2F&A=1", {}, b""),
    ("s3 key", "S3SigV4Auth", LONG, "s3", "PUT", "https://b.s3.eu-west-1.amazonaws.com/a%20b/c%2Bd%3D%C3%A9%26x%252F.txt", {"x-amz-meta-a": "two  spaces"}, b"data"),
    ("s3 key with reserved characters", "S3SigV4Auth", LONG, "s3", "GET", "https://b.s3.eu-west-1.amazonaws.com/tilde~%28x%29%2A%27%21?list-type=2&prefix=a%2Fb", {}, b""),
    ("presigned sts", "SigV4QueryAuth", TEMP, "sts", "GET", "https://sts.us-east-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15", {"x-k8s-aws-id": "ci"}, b""),
    ("presigned sts by POST", "SigV4QueryAuth", LONG, "sts", "POST", "https://sts.us-east-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15", {}, b""),
    ("presigned s3", "S3SigV4QueryAuth", TEMP, "s3", "GET", "https://b.s3.eu-west-1.amazonaws.com/a%20b?versionId=x%2By", {}, b""),
]

out = []
for name, signer, credentials, service, method, url, headers, body in CASES:
    request = botocore.awsrequest.AWSRequest(method=method, url=url, headers=dict(headers), data=body)
    region = "eu-west-1" if service == "s3" else "us-east-1"
    getattr(botocore.auth, signer)(credentials, service, region).add_auth(request)
    prepared = request.prepare()
    out.append({
        "name": name, "service": service, "method": prepared.method, "url": prepared.url,
        "headers": {k: v.decode() if isinstance(v, bytes) else str(v) for k, v in prepared.headers.items()},
        "body": base64.b64encode(prepared.body if isinstance(prepared.body, bytes) else (prepared.body or "").encode()).decode(),
    })
json.dump({"botocore": botocore.__version__, "requests": out}, sys.stdout, indent=1)
print()
