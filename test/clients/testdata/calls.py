"""Makes calls by boto3: a line of JSON in for each, a line of JSON out.

Every call has a new session, so that the way to its credentials is gone anew.
With BY_HAND set, the endpoint is given to every client and the roles of a
profile are assumed one by one: for a boto3 that knows no AWS_ENDPOINT_URL.
"""
import json
import os
import sys

import boto3
import botocore
import botocore.exceptions
import botocore.session


def by_hand(profile):
    """The profile's session and its credentials, by explicit calls."""
    conf = botocore.session.Session().full_config["profiles"].get(profile, {})
    if "role_arn" not in conf:
        return boto3.Session(profile_name=profile or None)
    args = {"RoleArn": conf["role_arn"], "RoleSessionName": conf["role_session_name"]}
    if "duration_seconds" in conf:
        args["DurationSeconds"] = int(conf["duration_seconds"])
    if "external_id" in conf:
        args["ExternalId"] = conf["external_id"]
    if "web_identity_token_file" in conf:
        with open(conf["web_identity_token_file"]) as f:
            args["WebIdentityToken"] = f.read()
        out = boto3.client("sts", region_name=conf["region"], endpoint_url=os.environ["AWS_ENDPOINT_URL"]).assume_role_with_web_identity(**args)
    else:
        out = by_hand(conf["source_profile"]).client("sts", endpoint_url=os.environ["AWS_ENDPOINT_URL"]).assume_role(**args)
    keys = out["Credentials"]
    return boto3.Session(
        aws_access_key_id=keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"], region_name=conf["region"])


def client(call):
    if os.environ.get("BY_HAND"):
        return by_hand(call["profile"]).client(call["service"], endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    return boto3.Session(profile_name=call["profile"] or None).client(call["service"])


def answer(call):
    method = botocore.xform_name(call["operation"])
    try:
        out = getattr(client(call), method)(**(call["input"] or {}))
        out.pop("ResponseMetadata", None)
        return {"output": out}
    except botocore.exceptions.ClientError as e:
        error = e.response["Error"]
        return {"code": error["Code"], "message": error.get("Message", ""), "status": e.response["ResponseMetadata"]["HTTPStatusCode"]}
    except Exception as e:  # whatever is not AWS's answer is the test's to judge
        return {"other": repr(e)}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line)), default=str), flush=True)
