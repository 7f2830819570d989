package wire

import (
	"net/http"
	"strconv"
	"strings"
)

// codeOf reads the number of an exception's text: "Code: 60. DB::Exception: ...".
func codeOf(text string) int {
	rest, found := strings.CutPrefix(text, "Code: ")
	if !found {
		return 1000 // POCO_EXCEPTION, ClickHouse's word for what has no code of its own
	}
	digits, _, _ := strings.Cut(rest, ".")
	code, err := strconv.Atoi(digits)
	if err != nil {
		return 1000
	}
	return code
}

// statusOf maps exception codes to statuses as ClickHouse's HTTP server does.
func statusOf(code int) int {
	switch code {
	case 194, 516: // REQUIRED_PASSWORD, AUTHENTICATION_FAILED
		return http.StatusUnauthorized
	case 192, 193, 497: // UNKNOWN_USER, WRONG_PASSWORD, ACCESS_DENIED
		return http.StatusForbidden
	case 6, 26, 27, 38, 39, 41, 43, 47, 53, 62, 69, 70, 72, 117, 130, 131, 306, 349, 457, 736:
		// CANNOT_PARSE_*, ILLEGAL_*, SYNTAX_ERROR, TYPE_MISMATCH, UNKNOWN_IDENTIFIER, CANNOT_CONVERT_TYPE, BAD_QUERY_PARAMETER, ...
		return http.StatusBadRequest
	case 16, 34, 46, 50, 60, 63, 73, 81, 115: // UNKNOWN_TABLE, UNKNOWN_FUNCTION, UNKNOWN_DATABASE, UNKNOWN_SETTING, ...
		return http.StatusNotFound
	case 159: // TIMEOUT_EXCEEDED
		return http.StatusRequestTimeout
	case 48: // NOT_IMPLEMENTED
		return http.StatusNotImplemented
	case 209, 76, 202: // SOCKET_TIMEOUT, CANNOT_OPEN_FILE, TOO_MANY_SIMULTANEOUS_QUERIES
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
