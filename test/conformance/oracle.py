"""botocore as an oracle of the AWS protocols.

Usage: oracle.py MODELS, where MODELS is a directory of stripped models
(SERVICE.json.gz), or "own" for the models that come with this botocore.

One JSON request per line on standard input, one JSON answer per line on
standard output, in order:

  {"do": "version"}                              -> {"version": ...}
  {"do": "model", "service"}                     -> the model
  {"do": "generate", "service", "seed", "rounds"} -> {"inputs": [...], "outputs": [...], "errors": [...]}
  {"do": "parse", "service", "operation", "response"} -> {"value": ...}

A response is {"status", "headers", "body"} with the body in base64. Values are
plain JSON: structure members begin with an upper-case letter, timestamps are
milliseconds since 1970, blobs are base64. Equal seeds give equal values.
"""

import base64
import datetime
import gzip
import io
import json
import os
import random
import re
import sys

import botocore
import botocore.awsrequest
import botocore.exceptions
import botocore.loaders
import botocore.model
import botocore.parsers
import botocore.serialize
from botocore.compat import HTTPHeaders

try:
    from re import _parser as sre_parse
except ImportError:
    import sre_parse

# Members of which exactly one is set: unions in the Smithy model, plain
# structures in botocore's.
UNIONS = {("dynamodb", "AttributeValue")}

# Characters that protocols have to take care of.
AWKWARD = " \t\n\r\"'<>&%+=/?#,;:@!*()[]{}|\\^~`$é߀漢🙂.-_aZ09"


class Service:
    def __init__(self, models, name):
        self.name = name
        if models == "own":
            data = botocore.loaders.Loader().load_service_model(name, "service-2")
        else:
            with gzip.open(os.path.join(models, name + ".json.gz")) as f:
                data = json.load(f)
        self.data = data
        self.model = botocore.model.ServiceModel(data, name)
        self.protocol = data["metadata"]["protocol"]
        self.serializer = botocore.serialize.create_serializer(self.protocol, include_validation=True)
        self.parser = botocore.parsers.create_parser(self.protocol)

    def request(self, operation, params):
        request = self.serializer.serialize_to_request(params, operation)
        request.setdefault("context", {})
        botocore.awsrequest.prepare_request_dict(request, "https://service.example.com", context={})
        prepared = botocore.awsrequest.create_request_object(request).prepare()
        body = prepared.body
        if hasattr(body, "read"):
            body = body.read()
        if isinstance(body, str):
            body = body.encode()
        headers = {k: text(v) for k, v in prepared.headers.items()}
        return {
            "method": prepared.method,
            "url": prepared.url,
            "headers": headers,
            "body": base64.b64encode(body or b"").decode(),
        }

    def parse(self, operation, response):
        headers = HTTPHeaders()
        for key, value in response["headers"].items():
            headers[key] = value
        plain = {
            "status_code": response["status"],
            "headers": headers,
            "body": base64.b64decode(response["body"]),
            "context": {"operation_name": operation},
        }
        model = self.model.operation_model(operation)
        if model.has_streaming_output and response["status"] < 300:
            plain["body"] = io.BytesIO(plain["body"])
        parsed = self.parser.parse(plain, model.output_shape)
        if response["status"] < 300:
            metadata = parsed.pop("ResponseMetadata", {})
            value = canonical(model.output_shape, parsed) if model.output_shape else {}
            return {"value": value, "requestId": metadata.get("RequestId", "")}
        return self.parse_error(plain, parsed)

    def parse_error(self, plain, parsed):
        """What botocore.endpoint does with an error: parse again as its shape."""
        error = parsed.get("Error", {})
        code = error.get("Code", "")
        out = {
            "code": code,
            "message": error.get("Message", ""),
            "type": error.get("Type", ""),
            "queryErrorCode": error.get("QueryErrorCode", ""),
            "requestId": parsed.get("ResponseMetadata", {}).get("RequestId", ""),
            "value": {},
        }
        shape = self.model.shape_for_error_code(code)
        if shape is not None:
            modeled = self.parser.parse(plain, shape)
            modeled = {k: v for k, v in modeled.items() if k not in ("Error", "ResponseMetadata")}
            out["value"] = canonical(shape, modeled)
            out["shape"] = shape.name
        return out


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def upper(name):
    return name[:1].upper() + name[1:]


def canonical(shape, value):
    """A botocore value as plain JSON."""
    if value is None or type(value).__name__ == "Element":
        return None  # botocore leaves S3's GetBucketLocation to a handler
    kind = shape.type_name
    if kind == "structure":
        return {upper(k): canonical(shape.members[k], v) for k, v in value.items() if k in shape.members}
    if kind == "list":
        return [canonical(shape.member, v) for v in value]
    if kind == "map":
        return {k: canonical(shape.value, v) for k, v in value.items()}
    if kind == "timestamp":
        return round(value.timestamp() * 1000)
    if kind == "blob":
        if hasattr(value, "read"):
            value = value.read()
        if isinstance(value, str):
            value = value.encode()
        return base64.b64encode(value).decode()
    return value


class Generator:
    """Random values of a shape. mode is "least", "most" or "some" members."""

    def __init__(self, service, rng, output):
        self.service, self.rng, self.output = service, rng, output
        self.xml = output and service.protocol in ("query", "rest-xml")
        self.status, self.hosts = 200, []
        self.exact = True  # all constraints are met as far as we know

    def of(self, operation):
        """Take the status and the labels of the host name from an operation."""
        self.status = operation.http.get("responseCode", 200)
        self.hosts = re.findall(r"{(\w+)}", (operation.endpoint or {}).get("hostPrefix", ""))
        return self

    def structure(self, shape, mode, depth=0):
        value = {}
        names = sorted(shape.members)
        if (self.service.name, shape.name) in UNIONS or getattr(shape, "is_tagged_union", False):
            simple = [n for n in names if shape.members[n].type_name not in ("list", "map")]
            name = self.rng.choice(simple if simple and depth > 4 else names)
            return {name: self.value(shape.members[name], "some", depth + 1)}
        for name in names:
            if shape.members[name].serialization.get("location") == "statusCode":
                value[name] = self.status
                continue
            if self.output and name == "ContentLength":
                continue  # it has to be the body's
            required = name in shape.required_members or self.output and name == "ContentType"
            if not required and (mode == "least" or depth > 4 or (mode == "some" and self.rng.random() < 0.6)):
                continue
            member = shape.members[name]
            location = member.serialization.get("location")
            if name in self.hosts:
                value[name] = "label%d" % self.rng.randrange(1000)
                continue
            value[name] = self.value(member, mode, depth + 1, location)
        if not value and names and depth and not self.output and self.service.protocol == "query":
            # The query protocol has no way to send an empty structure.
            name = self.rng.choice(names)
            value[name] = self.value(shape.members[name], mode, depth + 1)
        return value

    def value(self, shape, mode, depth, location=None):
        kind = shape.type_name
        least = int(shape.metadata.get("min", 0))
        if kind == "structure":
            return self.structure(shape, mode, depth)
        if kind in ("list", "map"):
            count = self.count(shape, 0 if depth > 5 else 2)
            if location == "header":
                count = max(count, 1)  # an empty list is no header
            if kind == "list":
                items = [self.value(shape.member, mode, depth + 1, location) for _ in range(count)]
                return [i for i in items if i is not None]
            out = {}
            for _ in range(count):
                key = self.string(shape.key, location)
                if location == "headers":  # header names do not keep the case
                    key = "k%d" % self.rng.randrange(1000)
                    out[key] = self.string(shape.value, location)
                    continue
                out[key] = self.value(shape.value, mode, depth + 1)
            if len(out) < least:
                self.exact = False
            return out
        if kind in ("string", "character"):
            return self.string(shape, location)
        if kind == "boolean":
            return self.rng.random() < 0.5
        if kind in ("integer", "long"):
            low = int(shape.metadata.get("min", -(2**31) if kind == "integer" else -(2**60)))
            high = int(shape.metadata.get("max", 2**31 - 1 if kind == "integer" else 2**60))
            return self.rng.choice([low, high, self.rng.randint(low, high)])
        if kind in ("float", "double"):
            low, high = int(shape.metadata.get("min", -(10**6))), int(shape.metadata.get("max", 10**6))
            return self.rng.randint(low * 64, high * 64) / 64
        if kind == "blob":
            return bytes(self.rng.randrange(256) for _ in range(max(self.count(shape, 24), 1)))
        if kind == "timestamp":
            ms = self.rng.randint(946684800, 2051222400) * 1000 + (self.rng.randrange(1000) if self.output and not location else 0)
            return datetime.datetime.fromtimestamp(ms // 1000, datetime.timezone.utc) + datetime.timedelta(milliseconds=ms % 1000)
        raise ValueError("no generator for " + kind)

    def count(self, shape, most):
        least = int(shape.metadata.get("min", 0))
        most = min(max(least, most), int(shape.metadata.get("max", 2**31)))
        return self.rng.randint(least, most)

    def string(self, shape, location=None):
        if shape.enum if hasattr(shape, "enum") else None:
            return self.rng.choice(shape.enum)
        least = int(shape.metadata.get("min", 0))
        most = max(least, min(int(shape.metadata.get("max", 2**31)), least + 12))
        if location:
            least, most = max(least, 1), max(most, 1)
        pattern = shape.metadata.get("pattern")
        if pattern:
            return self.matching(pattern, least, max(most, min(int(shape.metadata.get("max", 2**31)), 200)))
        n = self.rng.randint(least, most)
        out = "".join(self.rng.choice(AWKWARD) for _ in range(n))
        if location in ("header", "headers"):
            out = re.sub(r"[^!-~]", "x", out)
        if not self.output and self.service.protocol == "rest-xml":
            out = out.replace("\r", "x")  # botocore writes it bare, and XML reads that as a newline
        return out

    def matching(self, pattern, least, most):
        """A string of the pattern and a length in the bounds."""
        for _ in range(30):
            try:
                want = self.rng.randint(least, min(most, least + 12))
                candidate = grow(self.rng, sre_parse.parse(pattern), want)
                if least <= len(candidate) <= most and re.fullmatch(pattern, candidate):
                    return candidate
            except re.error:
                break
        plain = "aB3" * most
        return plain[: max(least, 1)] if self.plausible(pattern) else self.give_up(plain[: max(least, 1)])

    def plausible(self, pattern):
        return pattern.startswith(r"[\p{L}\p{Z}\p{N}") or pattern.startswith(r"^([\p{L}\p{Z}\p{N}") or pattern == r"\p{Print}+"

    def give_up(self, value):
        self.exact = False
        return value


def grow(rng, parsed, want):
    """A string that a parsed regular expression matches, about want long."""
    out = ""
    for op, arg in parsed:
        op = str(op)
        if op == "LITERAL":
            out += chr(arg)
        elif op == "NOT_LITERAL":
            out += rng.choice([c for c in "abcXYZ019" if ord(c) != arg])
        elif op == "ANY":
            out += rng.choice("abcXYZ019-_. ")
        elif op == "IN":
            out += one_of(rng, arg)
        elif op == "BRANCH":
            out += grow(rng, rng.choice(arg[1]), want)
        elif op == "SUBPATTERN":
            out += grow(rng, arg[-1], want)
        elif op in ("MAX_REPEAT", "MIN_REPEAT"):
            low, high, item = arg
            high = min(int(high), max(int(low), want))
            for _ in range(rng.randint(int(low), high) if rng.random() < 0.3 else high):
                out += grow(rng, item, 1)
        elif op in ("AT", "ASSERT_NOT", "ASSERT"):
            pass
        else:
            raise re.error("no way to grow " + op)
    return out


def one_of(rng, items):
    choices, negated = [], False
    for op, arg in items:
        op = str(op)
        if op == "NEGATE":
            negated = True
        elif op == "LITERAL":
            choices.append(chr(arg))
        elif op == "RANGE":
            low, high = arg
            choices += [chr(low), chr(min(high, max(low, 0x7E))), chr(rng.randint(low, min(high, 0xD7FF)) if low < 0xD800 else low)]
        elif op == "CATEGORY":
            name = str(arg)
            choices += {"CATEGORY_DIGIT": list("019"), "CATEGORY_WORD": list("aZ0_"), "CATEGORY_SPACE": list(" ")}.get(
                name, list("aZ0~")
            )
    if negated:
        choices = [c for c in "abcXYZ019.-_" if c not in choices]
    return rng.choice(choices)


def generate(service, seed, rounds):
    inputs, outputs, errors = [], [], []
    modes = ["most", "least"] + ["some"] * max(rounds - 2, 0)
    for name in service.model.operation_names:
        operation = service.model.operation_model(name)
        for i, mode in enumerate(modes[:rounds]):
            rng = random.Random("%s %s %s %s" % (seed, service.name, name, i))
            if operation.input_shape is not None:
                generator = Generator(service, rng, False).of(operation)
                value = generator.structure(operation.input_shape, mode)
                inputs.append({
                    "operation": name,
                    "value": canonical(operation.input_shape, value),
                    "valid": generator.exact,
                    "request": service.request(operation, value),
                })
            else:
                inputs.append({"operation": name, "value": {}, "valid": True, "request": service.request(operation, {})})
            value = {}
            if operation.output_shape is not None:
                value = Generator(service, rng, True).of(operation).structure(operation.output_shape, mode)
                value = canonical(operation.output_shape, value)
            outputs.append({"operation": name, "value": value})
    for shape in sorted(service.model.error_shapes, key=lambda s: s.name):
        rng = random.Random("%s %s %s" % (seed, service.name, shape.name))
        value = canonical(shape, Generator(service, rng, True).structure(shape, "most"))
        error = service.data["shapes"][shape.name].get("error", {})
        errors.append({
            "shape": shape.name,
            "code": shape.error_code,
            "status": error.get("httpStatusCode", 0),
            "fault": bool(service.data["shapes"][shape.name].get("fault")),
            "operation": next(iter(service.model.operation_names)),
            "value": value,
        })
    return {"inputs": inputs, "outputs": outputs, "errors": errors}


def main():
    models = sys.argv[1]
    services = {}

    def service(name):
        if name not in services:
            services[name] = Service(models, name)
        return services[name]

    out = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8")
    for line in io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8"):
        ask = json.loads(line)
        if ask["do"] == "version":
            answer = {"version": botocore.__version__}
        elif ask["do"] == "model":
            try:
                answer = service(ask["service"]).data
            except botocore.exceptions.UnknownServiceError:
                answer = {"failed": "unknown"}
        elif ask["do"] == "generate":
            answer = generate(service(ask["service"]), ask["seed"], ask["rounds"])
        else:
            try:
                answer = service(ask["service"]).parse(ask["operation"], ask["response"])
            except Exception as e:
                answer = {"failed": "%s: %s" % (type(e).__name__, e)}
        out.write(json.dumps(answer) + "\n")
        out.flush()


main()
