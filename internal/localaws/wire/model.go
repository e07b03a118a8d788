package wire

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// Protocol is the wire protocol of a service, in botocore's spelling.
type Protocol string

// The protocols served. JSON covers versions 1.0 and 1.1.
const (
	Query    Protocol = "query"
	JSON     Protocol = "json"
	RestJSON Protocol = "rest-json"
	RestXML  Protocol = "rest-xml"
)

// Model is the wire model of one AWS service. Its exported fields are for
// reading only. It is immutable after Load and safe for concurrent use.
type Model struct {
	// Service is our key of the service: the directory name in botocore, as
	// "sts" or "secretsmanager".
	Service string
	// SigningName is the service in a SigV4 scope.
	SigningName string
	// EndpointPrefix is the first label of the service's real host names.
	EndpointPrefix string
	// TargetPrefix is what precedes the operation in X-Amz-Target; empty
	// unless Protocol is JSON.
	TargetPrefix string
	Protocol     Protocol
	// APIVersion is the date that the query protocol sends as Version.
	APIVersion string

	jsonVersion     string
	namespace       string
	queryCompatible bool
	operations      map[string]*Operation
	names           []string
	routes          []*Operation      // rest protocols: most specific first
	errors          map[string]*shape // by shape name and by wire code
	bindings        sync.Map          // bindingKey to *binding
}

// Operation is one operation of a Model, safe for concurrent use.
type Operation struct {
	Name  string
	Model *Model

	method        string
	route         route
	status        int
	input, output *shape // nil where the operation has none
	inputElement  string // rest-xml: the root element of the body, where the model names one
	resultWrapper string
}

//go:embed models/*.json.gz
var models embed.FS

// Services returns the embedded services, sorted.
func Services() []string {
	entries, err := models.ReadDir("models")
	if err != nil {
		panic("wire.Services: reading the embedded directory: " + err.Error())
	}
	var names []string
	for _, entry := range entries {
		names = append(names, strings.TrimSuffix(entry.Name(), ".json.gz"))
	}
	slices.Sort(names)
	return names
}

// Load parses the embedded model of a service. It does not cache: the caller
// keeps the Model.
func Load(service string) (*Model, error) {
	packed, err := models.ReadFile("models/" + service + ".json.gz")
	if err != nil {
		return nil, fmt.Errorf("loading model of service %q: not among the embedded %v", service, Services())
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("loading model of service %q: %w", service, err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("loading model of service %q: %w", service, err)
	}
	return Parse(service, data)
}

// Parse reads a model in botocore's service-2.json format, for services that
// are not embedded. The service becomes Model.Service.
func Parse(service string, data []byte) (*Model, error) {
	var file modelFile
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("parsing model of service %q: %w", service, err)
	}
	m := &Model{
		Service:         service,
		SigningName:     file.Metadata.SigningName,
		EndpointPrefix:  file.Metadata.EndpointPrefix,
		TargetPrefix:    file.Metadata.TargetPrefix,
		Protocol:        Protocol(file.Metadata.Protocol),
		APIVersion:      file.Metadata.APIVersion,
		jsonVersion:     file.Metadata.JSONVersion,
		namespace:       file.Metadata.XMLNamespace,
		queryCompatible: file.Metadata.QueryCompatible != nil,
		operations:      map[string]*Operation{},
		errors:          map[string]*shape{},
	}
	if m.SigningName == "" {
		m.SigningName = m.EndpointPrefix
	}
	switch m.Protocol {
	case Query, JSON, RestJSON, RestXML:
	default:
		return nil, fmt.Errorf("parsing model of service %q: protocol %q is not served", service, m.Protocol)
	}
	l := linker{file: file.Shapes, shapes: map[string]*shape{}}
	if err := m.link(&l, file.Operations); err != nil {
		return nil, fmt.Errorf("parsing model of service %q: %w", service, err)
	}
	return m, nil
}

func (m *Model) link(l *linker, operations map[string]operationFile) error {
	for name, f := range operations {
		op := &Operation{Name: name, Model: m, method: f.HTTP.Method, status: f.HTTP.ResponseCode}
		if op.status == 0 {
			op.status = 200
		}
		op.route = parseRoute(f.HTTP.RequestURI)
		op.route.deprecated = f.Deprecated
		var err error
		if f.Input != nil {
			op.inputElement = f.Input.LocationName
			if op.input, err = l.shape(f.Input.Shape); err != nil {
				return err
			}
		}
		if f.Output != nil {
			op.resultWrapper = f.Output.ResultWrapper
			if op.output, err = l.shape(f.Output.Shape); err != nil {
				return err
			}
		}
		m.operations[name] = op
		m.names = append(m.names, name)
	}
	slices.Sort(m.names)
	for name, f := range l.file {
		if !f.Exception {
			continue
		}
		s, err := l.shape(name)
		if err != nil {
			return err
		}
		m.errors[name] = s
		if s.errorCode != name {
			m.errors[s.errorCode] = s
		}
	}
	m.sortRoutes()
	return nil
}

// Operation returns the operation of that name.
func (m *Model) Operation(name string) (*Operation, bool) {
	op, ok := m.operations[name]
	return op, ok
}

// Operations returns the names of all operations, sorted. The slice is the
// caller's.
func (m *Model) Operations() []string {
	return slices.Clone(m.names)
}

// The format of service-2.json, as much of it as the codecs use.
type modelFile struct {
	Metadata struct {
		APIVersion      string          `json:"apiVersion"`
		EndpointPrefix  string          `json:"endpointPrefix"`
		JSONVersion     string          `json:"jsonVersion"`
		Protocol        string          `json:"protocol"`
		SigningName     string          `json:"signingName"`
		TargetPrefix    string          `json:"targetPrefix"`
		XMLNamespace    string          `json:"xmlNamespace"`
		QueryCompatible json.RawMessage `json:"awsQueryCompatible"`
	} `json:"metadata"`
	Operations map[string]operationFile `json:"operations"`
	Shapes     map[string]shapeFile     `json:"shapes"`
}

type operationFile struct {
	HTTP struct {
		Method       string `json:"method"`
		RequestURI   string `json:"requestUri"`
		ResponseCode int    `json:"responseCode"`
	} `json:"http"`
	Input      *memberFile `json:"input"`
	Output     *memberFile `json:"output"`
	Deprecated bool        `json:"deprecated"`
}

type shapeFile struct {
	Type            string                `json:"type"`
	Members         map[string]memberFile `json:"members"`
	Required        []string              `json:"required"`
	Member          *memberFile           `json:"member"`
	Key             *memberFile           `json:"key"`
	Value           *memberFile           `json:"value"`
	Min             *json.Number          `json:"min"`
	Max             *json.Number          `json:"max"`
	Pattern         string                `json:"pattern"`
	Enum            []string              `json:"enum"`
	Flattened       bool                  `json:"flattened"`
	Exception       bool                  `json:"exception"`
	Fault           bool                  `json:"fault"`
	Sensitive       bool                  `json:"sensitive"`
	Payload         string                `json:"payload"`
	LocationName    string                `json:"locationName"`
	TimestampFormat string                `json:"timestampFormat"`
	EventStream     bool                  `json:"eventstream"`
	Document        bool                  `json:"document"`
	XMLNamespace    *namespaceFile        `json:"xmlNamespace"`
	Error           struct {
		Code           string `json:"code"`
		HTTPStatusCode int    `json:"httpStatusCode"`
		SenderFault    bool   `json:"senderFault"`
	} `json:"error"`
}

type memberFile struct {
	Shape           string         `json:"shape"`
	Location        string         `json:"location"`
	LocationName    string         `json:"locationName"`
	Flattened       bool           `json:"flattened"`
	TimestampFormat string         `json:"timestampFormat"`
	XMLAttribute    bool           `json:"xmlAttribute"`
	XMLNamespace    *namespaceFile `json:"xmlNamespace"`
	ResultWrapper   string         `json:"resultWrapper"`
}

// namespaceFile is an object in members and a plain string in some shapes.
type namespaceFile struct {
	Prefix string `json:"prefix"`
	URI    string `json:"uri"`
}

// UnmarshalJSON accepts both forms of a namespace.
func (n *namespaceFile) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &n.URI)
	}
	type plain namespaceFile
	return json.Unmarshal(data, (*plain)(n))
}
