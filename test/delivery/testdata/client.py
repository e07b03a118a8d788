"""Makes calls by one boto3 session: a word in for each, a line of JSON out."""
import json
import os
import random
import sys

if os.environ.get("STEADY"):
    # botocore takes what the metadata service gives with little life left for
    # valid 15 minutes and 2 to 10 more, at random, and looks for new credentials
    # when less than 15 are left. 13 make it look for every call.
    random.randint = lambda a, b: -a

import boto3
import botocore.config

session = boto3.Session()
options = {"endpoint_url": os.environ["AWS_ENDPOINT_URL"], "config": botocore.config.Config(retries={"total_max_attempts": 1})}


def answer(word):
    try:
        if word == "pages":
            pages = session.client("iam", **options).get_paginator("list_roles").paginate(PaginationConfig={"PageSize": 1})
            return {"out": str(len([p for p in pages]))}
        return {"out": session.client("sts", **options).get_caller_identity()["Arn"]}
    except Exception as e:  # what a program that catches nothing would print last
        return {"error": type(e).__name__ + ": " + str(e)}


for line in sys.stdin:
    print(json.dumps(answer(line.strip())), flush=True)
