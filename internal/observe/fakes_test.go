package observe_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// fakes answers for the services that the local AWS does not have, with bodies
// as AWS's API references show them, and hands everything else on to it. Every
// account and Region has the same: two buckets, two queues, two topics, two
// functions, two repositories and a VPC endpoint, one of each kind with a
// policy, a key and tags and one without.
//
// It cannot: check signatures or permissions, change anything, page (but for
// the topics), or tell accounts apart. deny and gone are how it refuses.
type fakes struct {
	door http.RoundTripper

	mu    sync.Mutex
	deny  map[string]bool // operations refused, "s3:GetBucketPolicy"
	gone  map[string]bool // operations that say that there is no such thing
	busy  int             // how often each operation asks to slow down first
	asked map[string]int  // by operation
}

// answer is a status and a body; the content type follows from the service.
type answer struct {
	status int
	body   string
}

// RoundTrip implements http.RoundTripper.
func (f *fakes) RoundTrip(r *http.Request) (*http.Response, error) {
	service, region := hostOf(r.URL.Host)
	serve := map[string]func(*http.Request, []byte, string) (string, answer){
		"s3": f.s3, "sqs": f.sqs, "sns": f.sns, "lambda": f.lambda, "ecr": f.ecr, "ec2": f.ec2,
		"kinesis": f.kinesis, "ssm": f.ssm,
	}[service]
	if serve == nil {
		return f.door.RoundTrip(r)
	}
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	operation, a := serve(r, body, region)
	f.mu.Lock()
	if f.asked == nil {
		f.asked = map[string]int{}
	}
	f.asked[operation]++
	if f.deny[operation] {
		a = denied(service)
	} else if f.gone[operation] {
		a = gone(service)
	} else if f.asked[operation] <= f.busy {
		a = throttled(service)
	}
	f.mu.Unlock()
	return &http.Response{
		StatusCode: a.status, Status: http.StatusText(a.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/octet-stream"}}, Body: io.NopCloser(bytes.NewReader([]byte(a.body))),
	}, nil
}

// hostOf reads sqs.us-east-1.amazonaws.com, api.ecr.us-east-1.amazonaws.com and
// BUCKET.s3.us-east-1.amazonaws.com.
func hostOf(host string) (service, region string) {
	labels := strings.Split(strings.TrimSuffix(host, ".amazonaws.com"), ".")
	if len(labels) < 2 {
		return "", ""
	}
	return labels[len(labels)-2], labels[len(labels)-1]
}

func denied(service string) answer {
	const message = "User: arn:aws:iam::222222222222:user/Administrator is not authorized to perform this"
	switch service {
	case "s3":
		return answer{403, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message><RequestId>4442587FB7D0A2F9</RequestId></Error>`}
	case "ec2":
		return answer{403, `<?xml version="1.0" encoding="UTF-8"?><Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are not authorized to perform this operation.</Message></Error></Errors><RequestID>1</RequestID></Response>`}
	case "sns":
		return answer{403, `<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>AuthorizationError</Code><Message>` + message + `</Message></Error><RequestId>1</RequestId></ErrorResponse>`}
	}
	return answer{400, `{"__type":"AccessDeniedException","message":"` + message + `"}`}
}

func gone(service string) answer {
	switch service {
	case "s3":
		return answer{404, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message></Error>`}
	case "sns":
		return answer{404, `<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>NotFound</Code><Message>Topic does not exist</Message></Error><RequestId>1</RequestId></ErrorResponse>`}
	case "sqs":
		return answer{400, `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}`}
	case "ecr":
		return answer{400, `{"__type":"RepositoryNotFoundException","message":"The repository does not exist in the registry"}`}
	}
	return answer{404, `{"__type":"ResourceNotFoundException","Type":"User","Message":"The resource you requested does not exist."}`}
}

func throttled(service string) answer {
	switch service {
	case "s3":
		return answer{503, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`}
	case "ec2":
		return answer{503, `<?xml version="1.0" encoding="UTF-8"?><Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Request limit exceeded.</Message></Error></Errors><RequestID>1</RequestID></Response>`}
	case "sns":
		return answer{400, `<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error><RequestId>1</RequestId></ErrorResponse>`}
	case "lambda":
		return answer{429, `{"__type":"TooManyRequestsException","Reason":"CallerRateLimitExceeded","Type":"User","message":"Rate exceeded"}`}
	}
	return answer{400, `{"__type":"com.amazon.coral.availability#ThrottlingException","message":"Rate exceeded"}`}
}

// policyOf is a policy that names what it is on.
func policyOf(arn string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"*","Resource":"` + arn + `"}]}`
}

const fakeKey = "arn:aws:kms:us-east-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab"

// s3 has reports in eu-west-1, with everything, and bare in us-east-1.
func (f *fakes) s3(r *http.Request, _ []byte, region string) (string, answer) {
	bucket, _, _ := strings.Cut(r.URL.Host, ".s3.")
	q := r.URL.Query()
	full := bucket == "reports"
	if full && region != "eu-west-1" {
		return "s3:redirect", answer{301, `<Error><Code>PermanentRedirect</Code><Message>The bucket is in another Region</Message></Error>`}
	}
	switch {
	case q.Has("policy"):
		if full {
			return "s3:GetBucketPolicy", answer{200, policyOf("arn:aws:s3:::reports/*")}
		}
		return "s3:GetBucketPolicy", answer{404, `<Error><Code>NoSuchBucketPolicy</Code><Message>The bucket policy does not exist</Message><BucketName>bare</BucketName></Error>`}
	case q.Has("encryption"):
		if full {
			return "s3:GetEncryptionConfiguration", answer{200, `<ServerSideEncryptionConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>` + fakeKey + `</KMSMasterKeyID></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>`}
		}
		return "s3:GetEncryptionConfiguration", answer{404, `<Error><Code>ServerSideEncryptionConfigurationNotFoundError</Code><Message>The server side encryption configuration was not found</Message></Error>`}
	case q.Has("tagging"):
		if full {
			return "s3:GetBucketTagging", answer{200, `<Tagging><TagSet><Tag><Key>team</Key><Value>pay</Value></Tag></TagSet></Tagging>`}
		}
		return "s3:GetBucketTagging", answer{404, `<Error><Code>NoSuchTagSet</Code><Message>The TagSet does not exist</Message></Error>`}
	}
	return "s3:ListAllMyBuckets", answer{200, `<?xml version="1.0" encoding="UTF-8"?><ListAllMyBucketsResult><Buckets>` +
		`<Bucket><Name>reports</Name><CreationDate>2019-12-11T23:32:47+00:00</CreationDate><BucketRegion>eu-west-1</BucketRegion></Bucket>` +
		`<Bucket><Name>bare</Name><CreationDate>2019-11-10T23:32:13+00:00</CreationDate><BucketRegion>us-east-1</BucketRegion></Bucket>` +
		`</Buckets><Owner><ID>AIDACKCEVSQ6C2EXAMPLE</ID></Owner></ListAllMyBucketsResult>`}
}

func (f *fakes) sqs(r *http.Request, body []byte, region string) (string, answer) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), "AmazonSQS.")
	full := strings.Contains(string(body), "/orders")
	arn := func(name string) string { return "arn:aws:sqs:" + region + ":222222222222:" + name }
	switch operation {
	case "ListQueues":
		at := "https://sqs." + region + ".amazonaws.com/222222222222/"
		return "sqs:ListQueues", answer{200, `{"QueueUrls":["` + at + `orders","` + at + `bare"]}`}
	case "GetQueueAttributes":
		if full {
			return "sqs:GetQueueAttributes", answer{200, fmt.Sprintf(`{"Attributes":{"QueueArn":%q,"Policy":%q,"KmsMasterKeyId":"alias/orders"}}`, arn("orders"), policyOf(arn("orders")))}
		}
		return "sqs:GetQueueAttributes", answer{200, fmt.Sprintf(`{"Attributes":{"QueueArn":%q}}`, arn("bare"))}
	}
	if full {
		return "sqs:ListQueueTags", answer{200, `{"Tags":{"team":"pay"}}`}
	}
	return "sqs:ListQueueTags", answer{200, `{}`}
}

func (f *fakes) sns(_ *http.Request, body []byte, region string) (string, answer) {
	form, _ := url.ParseQuery(string(body)) // what can be read of it
	arn := "arn:aws:sns:" + region + ":222222222222:"
	wrap := func(operation, inner string) answer {
		return answer{200, `<` + operation + `Response xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><` + operation + `Result>` + inner + `</` + operation + `Result><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></` + operation + `Response>`}
	}
	switch form.Get("Action") {
	case "ListTopics":
		if form.Get("NextToken") == "" {
			return "sns:ListTopics", wrap("ListTopics", `<Topics><member><TopicArn>`+arn+`orders</TopicArn></member></Topics><NextToken>more</NextToken>`)
		}
		return "sns:ListTopics", wrap("ListTopics", `<Topics><member><TopicArn>`+arn+`bare</TopicArn></member></Topics>`)
	case "GetTopicAttributes":
		attributes := `<entry><key>TopicArn</key><value>` + form.Get("TopicArn") + `</value></entry>`
		if form.Get("TopicArn") == arn+"orders" {
			attributes += `<entry><key>Policy</key><value>` + strings.ReplaceAll(policyOf(arn+"orders"), `"`, "&quot;") + `</value></entry><entry><key>KmsMasterKeyId</key><value>` + fakeKey + `</value></entry>`
		}
		return "sns:GetTopicAttributes", wrap("GetTopicAttributes", `<Attributes>`+attributes+`</Attributes>`)
	}
	if form.Get("ResourceArn") == arn+"orders" {
		return "sns:ListTagsForResource", wrap("ListTagsForResource", `<Tags><member><Key>team</Key><Value>pay</Value></member></Tags>`)
	}
	return "sns:ListTagsForResource", wrap("ListTagsForResource", `<Tags/>`)
}

// kinesis has orders, under a key; every other stream is under none.
func (f *fakes) kinesis(_ *http.Request, body []byte, _ string) (string, answer) {
	if strings.Contains(string(body), "stream/orders") {
		return "kinesis:DescribeStreamSummary", answer{200, `{"StreamDescriptionSummary":{"StreamName":"orders","EncryptionType":"KMS","KeyId":"1234abcd-12ab-34cd-56ef-1234567890ab"}}`}
	}
	return "kinesis:DescribeStreamSummary", answer{200, `{"StreamDescriptionSummary":{"StreamName":"bare","EncryptionType":"NONE"}}`}
}

// ssm has /app/secret and plain, and tells the first on a second page.
func (f *fakes) ssm(_ *http.Request, body []byte, _ string) (string, answer) {
	switch asked := string(body); {
	case strings.Contains(asked, `"/app/secret"`) && !strings.Contains(asked, "NextToken"):
		return "ssm:DescribeParameters", answer{200, `{"Parameters":[],"NextToken":"more"}`}
	case strings.Contains(asked, `"/app/secret"`):
		return "ssm:DescribeParameters", answer{200, `{"Parameters":[{"Name":"/app/secret","Type":"SecureString","KeyId":"alias/app"}]}`}
	case strings.Contains(asked, `"plain"`):
		return "ssm:DescribeParameters", answer{200, `{"Parameters":[{"Name":"plain","Type":"String"}]}`}
	}
	return "ssm:DescribeParameters", answer{200, `{"Parameters":[]}`}
}

func (f *fakes) lambda(r *http.Request, _ []byte, region string) (string, answer) {
	arn := "arn:aws:lambda:" + region + ":222222222222:function:"
	full := strings.Contains(r.URL.Path, ":function:orders")
	switch {
	case strings.HasSuffix(r.URL.Path, "/policy"):
		if full {
			return "lambda:GetPolicy", answer{200, fmt.Sprintf(`{"Policy":%q,"RevisionId":"4843f2f6-7c59-4fda-b484-afd0bc0e22b8"}`, policyOf(arn+"orders"))}
		}
		return "lambda:GetPolicy", answer{404, `{"__type":"ResourceNotFoundException","Type":"User","Message":"The resource you requested does not exist."}`}
	case strings.HasPrefix(r.URL.Path, "/2017-03-31/tags/"):
		if full {
			return "lambda:ListTags", answer{200, `{"Tags":{"team":"pay"}}`}
		}
		return "lambda:ListTags", answer{200, `{}`}
	}
	return "lambda:ListFunctions", answer{200, `{"Functions":[{"FunctionName":"orders","FunctionArn":"` + arn + `orders","KMSKeyArn":"` + fakeKey + `","Runtime":"provided.al2023"},{"FunctionName":"bare","FunctionArn":"` + arn + `bare"}],"NextMarker":null}`}
}

func (f *fakes) ecr(r *http.Request, body []byte, region string) (string, answer) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	arn := "arn:aws:ecr:" + region + ":222222222222:repository/"
	full := strings.Contains(string(body), "team/orders")
	switch operation {
	case "DescribeRepositories":
		return "ecr:DescribeRepositories", answer{200, `{"repositories":[` +
			`{"registryId":"222222222222","repositoryName":"team/orders","repositoryArn":"` + arn + `team/orders","encryptionConfiguration":{"encryptionType":"KMS","kmsKey":"` + fakeKey + `"}},` +
			`{"registryId":"222222222222","repositoryName":"bare","repositoryArn":"` + arn + `bare","encryptionConfiguration":{"encryptionType":"AES256"}}]}`}
	case "GetRepositoryPolicy":
		if full {
			return "ecr:GetRepositoryPolicy", answer{200, fmt.Sprintf(`{"registryId":"222222222222","repositoryName":"team/orders","policyText":%q}`, policyOf("*"))}
		}
		return "ecr:GetRepositoryPolicy", answer{400, `{"__type":"RepositoryPolicyNotFoundException","message":"Repository policy does not exist for the repository with name 'bare'"}`}
	}
	if full {
		return "ecr:ListTagsForResource", answer{200, `{"tags":[{"Key":"team","Value":"pay"}]}`}
	}
	return "ecr:ListTagsForResource", answer{200, `{"tags":[]}`}
}

// ec2 has one endpoint that counts, one that was deleted, and ap-east-1 not
// enabled.
func (f *fakes) ec2(_ *http.Request, body []byte, region string) (string, answer) {
	form, _ := url.ParseQuery(string(body)) // what can be read of it
	if form.Get("Action") == "DescribeRegions" {
		item := func(name, state string) string {
			return `<item><regionName>` + name + `</regionName><regionEndpoint>ec2.` + name + `.amazonaws.com</regionEndpoint><optInStatus>` + state + `</optInStatus></item>`
		}
		return "ec2:DescribeRegions", answer{200, `<DescribeRegionsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId><regionInfo>` +
			item("us-east-1", "opt-in-not-required") + item("ap-east-1", "not-opted-in") + item("eu-south-1", "opted-in") + `</regionInfo></DescribeRegionsResponse>`}
	}
	return "ec2:DescribeVpcEndpoints", answer{200, `<DescribeVpcEndpointsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId><vpcEndpointSet>` +
		`<item><vpcEndpointId>vpce-0a1b</vpcEndpointId><vpcEndpointType>Interface</vpcEndpointType><vpcId>vpc-1</vpcId><serviceName>com.amazonaws.` + region + `.secretsmanager</serviceName><state>available</state>` +
		`<policyDocument>` + strings.ReplaceAll(policyOf("*"), `"`, "&quot;") + `</policyDocument><ownerId>222222222222</ownerId></item>` +
		`<item><vpcEndpointId>vpce-0dead</vpcEndpointId><vpcId>vpc-1</vpcId><serviceName>com.amazonaws.` + region + `.s3</serviceName><state>deleted</state><ownerId>222222222222</ownerId></item>` +
		`</vpcEndpointSet></DescribeVpcEndpointsResponse>`}
}
