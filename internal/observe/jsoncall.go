package observe

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/stile-aws/stile/internal/catalog"
)

// jsonService is a service with a JSON protocol that is called without the SDK's
// package for it. Such a package builds tables of all its operations when the
// program starts; those of Lambda, ECR and SQS cost every command of stile 1.3 ms
// together, for the eight calls that are made here. Everything around a call is
// the SDK's: credentials, signature, retries, HTTP client.
type jsonService struct {
	id      string // as the SDK names it in errors: "Lambda"
	host    string // first labels of the host name
	signing string // name in signatures
	target  string // what X-Amz-Target begins with; "" for REST
	version string // of awsJson: "1.0"
}

// maxAnswer bounds what is read of one answer.
const maxAnswer = 32 << 20

// call makes one call with in as its body and fills out with the answer. path is
// of REST services alone, which are asked by GET.
func (s jsonService) call(ctx context.Context, cfg aws.Config, operation, path string, in, out any) error {
	stack := middleware.NewStack(operation, smithyhttp.NewStackRequest)
	if err := s.assemble(stack, cfg, operation, path, out); err != nil {
		return fmt.Errorf("preparing %s %s: %w", s.id, operation, err)
	}
	var client smithyhttp.ClientDo = cfg.HTTPClient
	if cfg.HTTPClient == nil {
		client = awshttp.NewBuildableClient()
	}
	handler := middleware.DecorateHandler(smithyhttp.NewClientHandlerWithOptions(client), stack)
	if _, _, err := handler.Handle(middleware.ClearStackValues(ctx), in); err != nil {
		return &smithy.OperationError{ServiceID: s.id, OperationName: operation, Err: err}
	}
	return nil
}

// assemble puts the steps of a call together as the SDK's packages do.
func (s jsonService) assemble(stack *middleware.Stack, cfg aws.Config, operation, path string, out any) error {
	var retryer aws.Retryer = retry.NewStandard()
	if cfg.Retryer != nil {
		retryer = cfg.Retryer()
	}
	steps := []func() error{
		func() error {
			return stack.Initialize.Add(&awsmiddleware.RegisterServiceMetadata{ServiceID: s.id, SigningName: s.signing, Region: cfg.Region, OperationName: operation}, middleware.Before)
		},
		func() error {
			return stack.Serialize.Add(middleware.SerializeMiddlewareFunc("OperationSerializer", func(ctx context.Context, in middleware.SerializeInput, next middleware.SerializeHandler) (middleware.SerializeOutput, middleware.Metadata, error) {
				if err := s.write(&in, cfg, operation, path); err != nil {
					return middleware.SerializeOutput{}, middleware.Metadata{}, &smithy.SerializationError{Err: err}
				}
				return next.HandleSerialize(ctx, in)
			}), middleware.After)
		},
		func() error {
			return stack.Finalize.Add(middleware.FinalizeMiddlewareFunc("Signing", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
				if err := s.sign(ctx, &in, cfg); err != nil {
					return middleware.FinalizeOutput{}, middleware.Metadata{}, &v4.SigningError{Err: err}
				}
				return next.HandleFinalize(ctx, in)
			}), middleware.After)
		},
		func() error { return stack.Finalize.Insert(&v4.ComputePayloadSHA256{}, "Signing", middleware.Before) },
		func() error {
			return retry.AddRetryMiddlewares(stack, retry.AddRetryMiddlewaresOptions{Retryer: retryer})
		},
		func() error { return stack.Deserialize.Add(decoder(out), middleware.After) },
		func() error { return awsmiddleware.AddRequestIDRetrieverMiddleware(stack) },
		func() error { return awshttp.AddResponseErrorMiddleware(stack) },
	}
	for _, add := range steps {
		if err := add(); err != nil {
			return err
		}
	}
	for _, add := range cfg.APIOptions {
		if err := add(stack); err != nil {
			return err
		}
	}
	return nil
}

// sign signs the request anew for each attempt.
func (s jsonService) sign(ctx context.Context, in *middleware.FinalizeInput, cfg aws.Config) error {
	request, ok := in.Request.(*smithyhttp.Request)
	if !ok {
		return fmt.Errorf("unknown transport type %T", in.Request)
	}
	credentials, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	return v4.NewSigner().SignHTTP(ctx, credentials, request.Request, v4.GetPayloadHash(ctx), s.signing, cfg.Region, now)
}

// write makes the request.
func (s jsonService) write(in *middleware.SerializeInput, cfg aws.Config, operation, path string) error {
	request, ok := in.Request.(*smithyhttp.Request)
	if !ok {
		return fmt.Errorf("unknown transport type %T", in.Request)
	}
	base := "https://" + s.host + "." + cfg.Region + "." + dnsSuffix(cfg.Region)
	if cfg.BaseEndpoint != nil {
		base = strings.TrimSuffix(*cfg.BaseEndpoint, "/")
	}
	at, err := url.Parse(base + cmp.Or(path, "/"))
	if err != nil {
		return err
	}
	request.URL, request.Method = at, http.MethodGet
	if s.target == "" {
		return nil
	}
	body, err := json.Marshal(in.Parameters)
	if err != nil {
		return err
	}
	request.Method = http.MethodPost
	request.Header.Set("Content-Type", "application/x-amz-json-"+s.version)
	request.Header.Set("X-Amz-Target", s.target+"."+operation)
	with, err := request.SetStream(bytes.NewReader(body))
	if err != nil {
		return err
	}
	in.Request = with
	return nil
}

// dnsSuffix is what host names of a Region's partition end with (botocore's
// partitions.json, dnsSuffix).
func dnsSuffix(region string) string {
	switch catalog.Partition(region) {
	case "aws-cn":
		return "amazonaws.com.cn"
	case "aws-iso":
		return "c2s.ic.gov"
	case "aws-iso-b":
		return "sc2s.sgov.gov"
	case "aws-iso-e":
		return "cloud.adc-e.uk"
	case "aws-iso-f":
		return "csp.hci.ic.gov"
	case "aws-eusc":
		return "amazonaws.eu"
	}
	return "amazonaws.com"
}

// decoder reads the answer into out, or its error.
func decoder(out any) middleware.DeserializeMiddleware {
	return middleware.DeserializeMiddlewareFunc("OperationDeserializer", func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
		result, meta, err := next.HandleDeserialize(ctx, in)
		if err != nil {
			return result, meta, err
		}
		answer, ok := result.RawResponse.(*smithyhttp.Response)
		if !ok {
			return result, meta, &smithy.DeserializationError{Err: fmt.Errorf("unknown transport type %T", result.RawResponse)}
		}
		defer func() { _ = answer.Body.Close() }()
		body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
		if err != nil {
			return result, meta, &smithy.DeserializationError{Err: err}
		}
		if answer.StatusCode < 200 || answer.StatusCode >= 300 {
			return result, meta, failure(answer.Header, body, answer.StatusCode)
		}
		if err := json.Unmarshal(body, out); err != nil {
			return result, meta, &smithy.DeserializationError{Err: err, Snapshot: body[:min(len(body), 1024)]}
		}
		result.Result = out
		return result, meta, nil
	})
}

// failure is the error of an answer. The code is in a header or in the body, with
// a name space before it or a URL after it (AWS JSON protocols, "Operation error
// serialization").
func failure(header http.Header, body []byte, status int) error {
	var said struct {
		Type    string `json:"__type"`
		Code    string `json:"code"`
		Message string `json:"message"` // "Message", too: encoding/json does not mind
	}
	_ = json.Unmarshal(body, &said) // a proxy's page has none of it
	code := cmp.Or(header.Get("X-Amzn-Errortype"), said.Type, said.Code, "UnknownError")
	code, _, _ = strings.Cut(code, ":")
	code = code[strings.LastIndexByte(code, '#')+1:]
	fault := smithy.FaultClient
	if status >= http.StatusInternalServerError {
		fault = smithy.FaultServer
	}
	return &smithy.GenericAPIError{Code: code, Message: cmp.Or(said.Message, http.StatusText(status)), Fault: fault}
}
