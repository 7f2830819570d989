package wire

import (
	"net/http"
	"strconv"
	"strings"
)

// codeOf reads the number of an exception's text: "Code: 60. DB::Exception: ...".
func codeOf(text string) int {
	_, rest, found := strings.Cut(text, "Code: ")
	digits, _, _ := strings.Cut(rest, ".")
	code, err := strconv.Atoi(digits)
	if !found || err != nil {
		return 1001 // STD_EXCEPTION, ClickHouse's word for what has no code of its own
	}
	return code
}

// statusOf maps exception codes to statuses as ClickHouse's HTTP server does (exceptionCodeToHTTPStatus.cpp).
func statusOf(code int) int {
	switch code {
	case 194: // REQUIRED_PASSWORD
		return http.StatusUnauthorized
	case 192, 193, 497, 512, 516: // UNKNOWN_USER, WRONG_PASSWORD, ACCESS_DENIED, SET_NON_GRANTED_ROLE, AUTHENTICATION_FAILED
		return http.StatusForbidden
	case 6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321, 376, 427, 441, 675, 676:
		// BAD_ARGUMENTS, CANNOT_PARSE_*, THERE_IS_NO_COLUMN, DUPLICATE_COLUMN, ILLEGAL_COLUMN, TYPE_MISMATCH, SYNTAX_ERROR,
		// INCORRECT_DATA, TOO_DEEP_AST, TOO_BIG_AST, VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE, ...
		return http.StatusBadRequest
	case 46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511: // UNKNOWN_TABLE, UNKNOWN_FUNCTION, UNKNOWN_DATABASE, ...
		return http.StatusNotFound
	case 159: // TIMEOUT_EXCEEDED
		return http.StatusRequestTimeout
	case 229: // QUERY_IS_TOO_LARGE
		return http.StatusRequestEntityTooLarge
	case 381: // HTTP_LENGTH_REQUIRED
		return http.StatusLengthRequired
	case 48: // NOT_IMPLEMENTED
		return http.StatusNotImplemented
	case 76, 209, 439: // CANNOT_OPEN_FILE, SOCKET_TIMEOUT, CANNOT_SCHEDULE_TASK
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
