// Package wire reads and writes the AWS protocols as a server does: query,
// JSON 1.0 and 1.1, rest-json and rest-xml, driven by AWS's own service models
// and with aws-sdk-go-v2's types as the types of handlers.
//
// Start with Load, which gives the Model of a service. A request then goes
// ReadBody, Model.Match, Operation.Decode into the SDK's input type,
// Operation.Validate, the handler, and Operation.Encode of the SDK's output
// type or Model.EncodeError:
//
//	body, e := wire.ReadBody(r, 1<<20)
//	op, e := model.Match(r, body)
//	var in sts.AssumeRoleInput
//	e = op.Decode(r, body, &in)
//	e = op.Validate(&in)
//	err := op.Encode(w, requestID, out)
//
// Go fields are found by the model's member names, the first letter in upper
// case; nothing is generated. In an output a nil pointer, slice or map and an
// empty enum are absent and are not written, with one exception: a list that
// the model calls required is written empty. A service whose clients rely on
// an optional list gives an empty, non-nil slice.
//
// The package knows nothing of accounts, signatures or permissions, it does not
// choose the service of a request, and it does not verify the signatures of
// aws-chunked chunks. Event streams are not served.
package wire
