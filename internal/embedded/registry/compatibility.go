package registry

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/hamba/avro/v2"
)

// problem is a refusal with the registry's own error code.
type problem struct {
	status, code int
	message      string
}

// proposal is the body of a registration or of a compatibility question.
type proposal struct {
	Schema     string            `json:"schema"`
	SchemaType string            `json:"schemaType"`
	References []json.RawMessage `json:"references"`
}

// parse reads the Avro schema of a proposal; nil when it is of another type, which is not checked here.
func (p proposal) parse() (avro.Schema, *problem) {
	if p.SchemaType != "" && p.SchemaType != "AVRO" {
		return nil, nil
	}
	if len(p.References) > 0 {
		return nil, &problem{http.StatusUnprocessableEntity, 42201, "schema references are not supported by the embedded registry"}
	}
	schema, err := avro.ParseWithCache(p.Schema, "", &avro.SchemaCache{})
	if err != nil {
		return nil, &problem{http.StatusUnprocessableEntity, 42201, "invalid Avro schema: " + err.Error()}
	}
	return schema, nil
}

// check refuses a registration whose schema is invalid or not compatible with its subject.
func (r *Registry) check(req *http.Request, body []byte) *problem {
	subject, isVersions := strings.CutSuffix(strings.TrimPrefix(req.URL.Path, "/subjects/"), "/versions")
	if req.Method != http.MethodPost || !isVersions {
		return nil
	}
	var p proposal
	if err := json.Unmarshal(body, &p); err != nil {
		return nil // the registry in memory says what is wrong
	}
	schema, wrong := p.parse()
	if wrong != nil || schema == nil {
		return wrong
	}
	if why := r.incompatible(subject, schema, r.level(subject)); why != "" {
		return &problem{http.StatusConflict, http.StatusConflict, why}
	}
	return nil
}

// level returns a subject's compatibility level, its own or the global one.
func (r *Registry) level(subject string) string {
	for _, path := range []string{"/config/" + subject, "/config"} {
		status, answer := perform(r.memory, http.MethodGet, path, nil)
		var config struct {
			Level string `json:"compatibilityLevel"`
		}
		if status == http.StatusOK && json.Unmarshal(answer, &config) == nil && config.Level != "" {
			return config.Level
		}
	}
	return "BACKWARD"
}

// incompatible says why a schema does not go with a subject's versions, or "".
func (r *Registry) incompatible(subject string, schema avro.Schema, level string) string {
	versions := r.versions(subject)
	if !strings.HasSuffix(level, "_TRANSITIVE") && len(versions) > 1 {
		versions = versions[len(versions)-1:]
	}
	for _, v := range versions {
		if why := r.differs(subject, v, schema, level); why != "" {
			return why
		}
	}
	return ""
}

func (r *Registry) versions(subject string) []int {
	_, answer := perform(r.memory, http.MethodGet, "/subjects/"+subject+"/versions", nil)
	var versions []int
	if json.Unmarshal(answer, &versions) != nil {
		return nil
	}
	return versions
}

// differs compares a schema with one version in the directions that the level asks for.
func (r *Registry) differs(subject string, version int, schema avro.Schema, level string) string {
	_, answer := perform(r.memory, http.MethodGet, fmt.Sprintf("/subjects/%s/versions/%d", subject, version), nil)
	var p proposal
	if json.Unmarshal(answer, &p) != nil {
		return ""
	}
	old, wrong := p.parse()
	if wrong != nil || old == nil {
		return ""
	}
	checker := avro.NewSchemaCompatibility()
	if strings.HasPrefix(level, "BACKWARD") || strings.HasPrefix(level, "FULL") {
		if err := checker.Compatible(schema, old); err != nil {
			return fmt.Sprintf("the new schema cannot read what version %d wrote: %v", version, err)
		}
	}
	if strings.HasPrefix(level, "FORWARD") || strings.HasPrefix(level, "FULL") {
		if err := checker.Compatible(old, schema); err != nil {
			return fmt.Sprintf("version %d cannot read what the new schema writes: %v", version, err)
		}
	}
	return ""
}

// serveCompatibility answers POST /compatibility/subjects/S/versions[/V].
func (r *Registry) serveCompatibility(w http.ResponseWriter, req *http.Request, body []byte) {
	parts := strings.Split(strings.Trim(req.URL.Path, "/"), "/")
	var p proposal
	if req.Method != http.MethodPost || len(parts) < 4 || parts[1] != "subjects" || json.Unmarshal(body, &p) != nil {
		refuse(w, http.StatusBadRequest, http.StatusBadRequest, "want POST /compatibility/subjects/SUBJECT/versions[/VERSION] with a schema")
		return
	}
	schema, wrong := p.parse()
	if wrong != nil {
		refuse(w, wrong.status, wrong.code, wrong.message)
		return
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.memory == nil {
		refuse(w, http.StatusServiceUnavailable, 50003, "the registry is reading its topic again")
		return
	}
	subject := parts[2]
	if len(r.versions(subject)) == 0 {
		refuse(w, http.StatusNotFound, 40401, fmt.Sprintf("Subject %q not found.", subject))
		return
	}
	why := ""
	if schema != nil {
		why = r.asked(subject, parts[4:], schema)
	}
	answer := map[string]any{"is_compatible": why == ""}
	if why != "" && req.URL.Query().Get("verbose") == "true" {
		answer["messages"] = []string{why}
	}
	text, err := json.Marshal(answer)
	if err != nil {
		refuse(w, http.StatusInternalServerError, 50001, err.Error())
		return
	}
	write(w, http.StatusOK, text)
}

// asked compares with the one version that the path names, or with those that the level does.
func (r *Registry) asked(subject string, version []string, schema avro.Schema) string {
	level := r.level(subject)
	if len(version) == 0 {
		return r.incompatible(subject, schema, level)
	}
	if version[0] == "latest" {
		return r.incompatible(subject, schema, strings.TrimSuffix(level, "_TRANSITIVE"))
	}
	for _, v := range r.versions(subject) {
		if fmt.Sprint(v) == version[0] {
			return r.differs(subject, v, schema, level)
		}
	}
	return fmt.Sprintf("version %s does not exist", version[0])
}
