package hostile_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// meaning is what of a request counts, whatever the bytes: method, decoded path
// and query, the headers that its signature names and those of AWS, the body.
// Two requests of one meaning are one request.
func meaning(r *http.Request) (string, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<20))
	if err != nil {
		return "", err
	}
	var lines []string
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return "", err
	}
	scheme, rest, _ := strings.Cut(strings.TrimSpace(r.Header.Get("Authorization")), " ")
	fields := strings.FieldsFunc(rest, func(c rune) bool { return c == ',' || c == ' ' })
	slices.Sort(fields)
	lines = append(lines, r.Method, strings.ToLower(r.Host), r.URL.Path, values.Encode(), scheme, strings.Join(fields, ","))
	sum := sha256.Sum256(body)
	if hash := hex.EncodeToString(sum[:]); r.Header.Get("X-Amz-Content-Sha256") == hash {
		r.Header.Del("X-Amz-Content-Sha256") // says nothing new, and need not be signed
	}
	for name, all := range r.Header {
		if strings.HasPrefix(name, "X-Amz-") || strings.Contains(rest, strings.ToLower(name)) || len(r.Header["Authorization"]) > 1 {
			for i, v := range all {
				all[i] = strings.Join(strings.Fields(v), " ")
			}
			lines = append(lines, name+":"+strings.Join(all, ","))
		}
	}
	slices.Sort(lines[6:])
	return strings.Join(append(lines, hex.EncodeToString(sum[:])), "\n"), nil
}

// means reports whether one of the requests that data holds is a valid one.
func means(data []byte, valid map[string]bool) bool {
	in := bufio.NewReader(bytes.NewReader(data))
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return false
		}
		m, err := meaning(r)
		if err == nil && valid[m] {
			return true
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return false
		}
	}
}

// FuzzServer mutates valid requests, signature and all. The world may only
// change, and an answer only be good, where the request still means what was
// signed.
//
// Its arguments are numbers that our own mutations follow: the fuzzer would spend
// its time on shortening inputs, for a server's coverage is never twice the same.
func FuzzServer(f *testing.F) {
	aws := newTarget(f, withoutClusters)
	valid := map[string]bool{}
	var all [][]byte
	for _, r := range aws.record(f) {
		all = append(all, r.bytes)
		req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(r.bytes)))
		if err != nil {
			f.Fatal(err)
		}
		m, err := meaning(req)
		if err != nil {
			f.Fatal(err)
		}
		valid[m] = true
	}
	form := "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=" + podRole + "&RoleSessionName=s&WebIdentityToken=e30.e30.e30"
	all = append(all,
		fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: sts.amazonaws.com\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(form), form),
		[]byte("POST /_stile/clock HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Stile-Token: guess\r\nContent-Length: 16\r\n\r\n{\"advance\":\"1h\"}"),
		[]byte("POST / HTTP/1.1\r\nHost: kms.us-east-1.amazonaws.com\r\nX-Amz-Target: TrentService.CreateKey\r\nX-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\nContent-Encoding: aws-chunked\r\nContent-Length: 12\r\n\r\n2\r\n{}\r\n0\r\n\r\n"))
	for i := range all {
		for n := range uint8(4) {
			f.Add(uint8(i), n, uint64(i)<<8+uint64(n), uint16(0))
		}
	}
	f.Fuzz(func(t *testing.T, which, times uint8, seed uint64, first uint16) {
		m := mutator{rand.New(rand.NewPCG(seed, 0)), all}
		data := m.mutate(all[int(which)%len(all)], int(times)%5)
		before, split := aws.digest(t), min(int(first), len(data))
		answer := aws.send(t, true, data[:split], data[split:])
		aws.report(t)
		if means(data, valid) {
			return
		}
		if aws.digest(t) != before {
			t.Errorf("the world has changed by\n%s\n%s", data, answer)
		}
		if got := status(answer); got >= 200 && got < 300 && !bytes.Contains(data, []byte("/id/")) {
			t.Errorf("status %d for\n%s\n%s", got, data, answer)
		}
	})
}

// mutator changes requests as its random numbers say.
type mutator struct {
	*rand.Rand
	all [][]byte // to take parts from
}

// words are parts that mean something.
var words = []string{
	"X-Amz-Security-Token: x\r\n", "X-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\n", "X-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\n", "Content-Encoding: aws-chunked\r\n",
	"Content-Encoding: gzip\r\n", "Transfer-Encoding: chunked\r\n", "Authorization: Bearer x\r\n", "X-Amz-Target: DynamoDB_20120810.DeleteTable\r\n", "X-Stile-Token: x\r\n", "Content-Type: application/x-amz-json-1.1\r\n",
	"Expect: 100-continue\r\n", "Connection: close\r\n", "&Action=DeleteRole", "&UserName=evil", "?Action=CreateUser&UserName=evil&Version=2010-05-08", "X-Amz-Signature=0&", "%00", "%2F", "%2e%2e/", "../", "/_stile/state", "/id/",
	"111111111111", "222222222222", "us-west-2", "iam", "sts", "s3", "aws4_request", "host;", ";x-amz-target", "{", "}", "[", "\"", "null", "\r\n", "\r\n\r\n", "\x00", "\xff",
}

func (m mutator) mutate(request []byte, times int) []byte {
	data := bytes.Clone(request)
	for range times {
		data = m.once(data)
	}
	if m.IntN(2) == 0 {
		return m.withLength(data)
	}
	return data
}

func (m mutator) once(data []byte) []byte {
	if len(data) == 0 {
		return data
	}
	from := m.IntN(len(data))
	to := min(len(data), from+1+m.IntN(40))
	switch m.IntN(9) {
	case 0:
		data[from] ^= 1 << m.IntN(8)
		return data
	case 1:
		return slices.Delete(data, from, to)
	case 2:
		return slices.Insert(data, from, data[from:to]...)
	case 3:
		return slices.Insert(data, from, []byte(words[m.IntN(len(words))])...)
	case 4:
		other := m.all[m.IntN(len(m.all))]
		at := m.IntN(len(other))
		return slices.Replace(data, from, to, bytes.Clone(other[at:min(len(other), at+to-from)])...)
	case 5:
		return slices.Replace(data, from, from+1, fmt.Appendf(nil, "%%%02x", data[from])...)
	}
	return m.lines(data)
}

// lines changes whole header lines: another's word before one, one twice, one
// away, two exchanged, one of another request.
func (m mutator) lines(data []byte) []byte {
	lines := bytes.SplitAfter(data, []byte("\r\n"))
	a, b := m.IntN(len(lines)), m.IntN(len(lines))
	switch m.IntN(5) {
	case 0:
		lines = slices.Insert(lines, a, []byte(words[m.IntN(len(words))]))
	case 1:
		lines = slices.Insert(lines, a, lines[b])
	case 2:
		lines = slices.Delete(lines, a, a+1)
	case 3:
		lines[a], lines[b] = lines[b], lines[a]
	default:
		other := bytes.SplitAfter(m.all[m.IntN(len(m.all))], []byte("\r\n"))
		lines[a] = other[m.IntN(len(other))]
	}
	return bytes.Join(lines, nil)
}

var contentLength = regexp.MustCompile(`Content-Length: \d+`)

// withLength makes Content-Length that of the body.
func (m mutator) withLength(data []byte) []byte {
	head, body, found := bytes.Cut(data, []byte("\r\n\r\n"))
	if !found {
		return data
	}
	head = contentLength.ReplaceAll(head, fmt.Appendf(nil, "Content-Length: %d", len(body)))
	return slices.Concat(head, []byte("\r\n\r\n"), body)
}

// signedSeed is a call to begin with.
type signedSeed struct{ service, operation, path, body string }

func signedSeeds() []signedSeed {
	trust := url.QueryEscape(trustAll)
	return []signedSeed{
		{"iam", "CreateRole", "/", "RoleName=r&AssumeRolePolicyDocument=" + trust + "&Tags.member.1.Key=k&Tags.member.1.Value=v&MaxSessionDuration=3600"},
		{"iam", "PutRolePolicy", "/", "RoleName=pod&PolicyName=p&PolicyDocument=" + url.QueryEscape(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*"],"Resource":"arn:aws:s3:::b/${aws:username}/*","Condition":{"StringLike":{"aws:PrincipalTag/t":"x*"}}}]}`)},
		{"iam", "ListRoles", "/", "MaxItems=1&PathPrefix=/&Marker=AAAA"},
		{"iam", "SimulatePrincipalPolicy", "/", "PolicySourceArn=" + podRole + "&ActionNames.member.1=s3:GetObject"},
		{"iam", "GetAccountAuthorizationDetails", "/", "Filter.member.1=Role"},
		{"sts", "AssumeRole", "/", "RoleArn=" + podRole + "&RoleSessionName=s&Tags.member.1.Key=k&Tags.member.1.Value=v&TransitiveTagKeys.member.1=k&ExternalId=abc&DurationSeconds=900&Policy=%7B%7D&SourceIdentity=x"},
		{"sts", "AssumeRoleWithWebIdentity", "/", "RoleArn=" + podRole + "&RoleSessionName=s&WebIdentityToken=e30.e30.e30"},
		{"sts", "GetFederationToken", "/", "Name=n&Policy=" + trust},
		{"kms", "Encrypt", "/", `{"KeyId":"alias/aws/secretsmanager","Plaintext":"AAAA","EncryptionContext":{"a":"b"}}`},
		{"kms", "CreateKey", "/", `{"Policy":"{}","Tags":[{"TagKey":"a","TagValue":"b"}],"KeySpec":"SYMMETRIC_DEFAULT"}`},
		{"kms", "CreateGrant", "/", `{"KeyId":"k","GranteePrincipal":"arn:aws:iam::222222222222:role/pod","Operations":["Decrypt"],"Constraints":{"EncryptionContextSubset":{"a":"b"}}}`},
		{"secretsmanager", "CreateSecret", "/", `{"Name":"n","SecretString":"s","Tags":[{"Key":"a","Value":"b"}],"ClientRequestToken":"00000000-0000-0000-0000-000000000003"}`},
		{"secretsmanager", "ListSecrets", "/", `{"MaxResults":1,"Filters":[{"Key":"name","Values":["a"]}],"NextToken":"x"}`},
		{"secretsmanager", "PutResourcePolicy", "/", `{"SecretId":"Secret","ResourcePolicy":"{\"Version\":\"2012-10-17\",\"Statement\":[]}","BlockPublicPolicy":true}`},
		{"dynamodb", "PutItem", "/", `{"TableName":"Orders","Item":{"Code":{"S":"a"},"l":{"L":[{"M":{"x":{"NS":["1","2"]}}},{"B":"AAAA"},{"NULL":true}]}},"ConditionExpression":"attribute_not_exists(#c) AND size(l[0].x) < :n","ExpressionAttributeNames":{"#c":"Code"},"ExpressionAttributeValues":{":n":{"N":"1e3"}}}`},
		{"dynamodb", "UpdateItem", "/", `{"TableName":"Orders","Key":{"Code":{"S":"a"}},"UpdateExpression":"SET a.b[1] = if_not_exists(c, :v) + :v, d = list_append(e, :l) REMOVE f ADD g :v DELETE h :s","ExpressionAttributeValues":{":v":{"N":"1"},":l":{"L":[]},":s":{"SS":["x"]}},"ReturnValues":"ALL_NEW"}`},
		{"dynamodb", "Query", "/", `{"TableName":"Orders","KeyConditionExpression":"Code = :c","FilterExpression":"NOT (a BETWEEN :c AND :d OR b IN (:c, :d)) AND contains(c, :c)","ExpressionAttributeValues":{":c":{"S":"a"},":d":{"S":"b"}},"ProjectionExpression":"a.b, c[0]","ExclusiveStartKey":{"Code":{"S":"a"}}}`},
		{"dynamodb", "TransactWriteItems", "/", `{"TransactItems":[{"Put":{"TableName":"Orders","Item":{"Code":{"S":"a"}}}}]}`},
		{"organizations", "CreatePolicy", "/", `{"Name":"p","Description":"","Type":"SERVICE_CONTROL_POLICY","Content":"{\"Version\":\"2012-10-17\",\"Statement\":[]}"}`},
		{"organizations", "MoveAccount", "/", `{"AccountId":"222222222222","SourceParentId":"r-abcd","DestinationParentId":"ou-abcd-12345678"}`},
		{"eks", "CreateAccessEntry", "/clusters/ci/access-entries", `{"principalArn":"arn:aws:iam::222222222222:role/pod","kubernetesGroups":["g"],"tags":{"a":"b"}}`},
		{"eks", "ListClusters", "/clusters?maxResults=1&nextToken=AAAA", ``},
		{"eks", "DescribeCluster", "/clusters/other", ``},
	}
}

// FuzzSigned mutates the bodies and paths of requests that are then signed by an
// administrator: every operation of every service gets them decoded, validated
// and handled. No panic, no internal error, an answer in time. Its arguments are
// numbers for the same reason as FuzzServer's.
func FuzzSigned(f *testing.F) {
	ops, seeds := operations(f), signedSeeds()
	var parts [][]byte
	for i, seed := range seeds {
		parts = append(parts, []byte(seed.path), []byte(seed.body+" "))
		for n := range uint8(4) {
			f.Add(uint8(i), n, uint64(i)<<8+uint64(n), operationNumber(f, ops, seed.service, seed.operation))
		}
	}
	aws, calls := startTarget(f, withoutClusters), 0
	f.Cleanup(func() { aws.stop(f) })
	f.Fuzz(func(t *testing.T, which, times uint8, seed uint64, number uint16) {
		if calls++; calls%5000 == 0 {
			aws.stop(t) // what was made so far is enough
			aws = startTarget(t, withoutClusters)
		}
		m, from := mutator{rand.New(rand.NewPCG(seed, 1)), parts}, seeds[int(which)%len(seeds)]
		body, path := []byte(from.body), []byte(from.path)
		for range times % 6 {
			body = m.once(body)
		}
		if m.IntN(2) == 0 {
			path = m.once(path)
		}
		data, err := aws.signedCall(ops[int(number)%len(ops)], string(path), string(body), orders)
		if err != nil {
			t.Skip(err)
		}
		answer := aws.raw(t, data)
		if got := status(answer); got < 200 {
			t.Errorf("no answer to\n%s\n%s", data, answer)
		}
		aws.report(t)
	})
}
