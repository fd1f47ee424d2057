// See begin_record.h.

#include "begin_record.h"

#include "filter.h"

static int64_t number_of(void *envoy, struct bytes name_space, struct bytes key) {
  double found;
  bool is_there =
      envoy_dynamic_module_callback_http_get_metadata_number(envoy, DYNAMIC_METADATA, name_space, key, &found);
  return is_there && found >= 0 && found < 1e15 ? (int64_t)found : RECORDER_UNKNOWN;
}

static int64_t truth_of(void *envoy, struct bytes name_space, struct bytes key) {
  bool found;
  bool is_there =
      envoy_dynamic_module_callback_http_get_metadata_bool(envoy, DYNAMIC_METADATA, name_space, key, &found);
  return is_there ? found : RECORDER_UNKNOWN;
}

// The client's body, or what has become of it.
static int64_t body_length(void *envoy) {
  struct bytes value;
  int64_t length = number_of(envoy, request_metadata, TEXT("bytes_in"));
  if (length > 0) return length;
  length = 0;
  if (!header_of(envoy, REQUEST_HEADERS, TEXT("content-length"), &value, 0, NULL)) return RECORDER_UNKNOWN;
  for (size_t i = 0; i < value.length; i++) {
    if (value.at[i] < '0' || value.at[i] > '9' || length > INT32_MAX) return RECORDER_UNKNOWN;
    length = length * 10 + (value.at[i] - '0');
  }
  return length;
}

bool begin_record(struct bytes base, void *envoy, struct record **record) {
  struct bytes id, tenant = text_of(envoy, authz_metadata, TEXT("tenant"));
  struct bytes endpoint = text_of(envoy, request_metadata, TEXT("endpoint"));
  if (base.length == 0 || tenant.length == 0 || endpoint.length == 0) return true;
  if (!header_of(envoy, REQUEST_HEADERS, TEXT("x-request-id"), &id, 0, NULL)) return true;
  const struct recorded recorded = {
      .texts =
          {
              [RECORDED_REQUEST_ID] = id,
              [RECORDED_TENANT] = tenant,
              [RECORDED_KEY_ID] = text_of(envoy, authz_metadata, TEXT("key_id")),
              [RECORDED_SURFACE] = text_of(envoy, request_metadata, TEXT("surface")),
              [RECORDED_MODEL] = text_of(envoy, request_metadata, TEXT("model")),
              [RECORDED_BASE_MODEL] = text_of(envoy, request_metadata, TEXT("base_model")),
              [RECORDED_UPSTREAM_MODEL] = text_of(envoy, request_metadata, TEXT("upstream_model")),
              [RECORDED_UNIT] = text_of(envoy, request_metadata, TEXT("unit")),
              [RECORDED_VARIANT] = text_of(envoy, request_metadata, TEXT("variant")),
              [RECORDED_TRACE_ID] = text_of(envoy, request_metadata, TEXT("trace_id")),
              [RECORDED_BUDGETS] = text_of(envoy, request_metadata, TEXT("budgets")),
              [RECORDED_PRICE_FACTOR] = text_of(envoy, request_metadata, TEXT("price_factor")),
              [RECORDED_USER] = text_of(envoy, request_metadata, TEXT("user")),
          },
      .numbers =
          {
              [RECORDED_BYTES_IN] = body_length(envoy),
              [RECORDED_ESTIMATED] = number_of(envoy, request_metadata, TEXT("estimated")),
              [RECORDED_ESTIMATED_COMPLETION] = number_of(envoy, request_metadata, TEXT("estimated_output")),
              [RECORDED_COUNTED] = number_of(envoy, request_metadata, TEXT("counted")),
              [RECORDED_ESTIMATED_UNITS] = number_of(envoy, request_metadata, TEXT("estimated_units")),
              [RECORDED_GENERATION] = number_of(envoy, request_metadata, TEXT("generation")),
              [RECORDED_STREAMED] = truth_of(envoy, request_metadata, TEXT("streamed")),
              [RECORDED_RESERVED] = truth_of(envoy, limiter_metadata, TEXT("reserved")),
          },
  };
  *record = recorder_begin(base, &recorded);
  return *record != NULL;
}
