// What the filter `attempt` is told of the provider in whose cluster it runs: the filter's configuration, of which each
// line but the first is a name, a space and a value (headgate/edge/attempt_config.py).

#ifndef HEADGATE_MODULE_ATTEMPT_SETTINGS_H
#define HEADGATE_MODULE_ATTEMPT_SETTINGS_H

#include "filter.h"
#include "provider_key.h"

// The error of a provider that names its errors, and the status for a name that says more than the error's own status.
struct named_error {
  struct bytes name, status;
};

// What is not told has no bytes at all (`at` is NULL).
struct attempt_settings {
  struct config config;
  struct bytes path;     // what stands for the client's /v1
  struct bytes deployed; // the attempt's model follows the path, as one of Azure's deployments; responses are at none
  struct bytes query;    // what the path ends with
  struct bytes host;
  struct bytes version_header, version; // what the provider's API has to be told, if a client does not
  struct bytes key_file, key_header, key_prefix; // of a provider that takes a key: where it is, what carries it
  struct bytes pooled;   // the name of the key, where the provider has several
  struct bytes is_signed; // with a key that is not seen here
  struct bytes stream;   // the type of the provider's streams
  struct bytes counted;  // the cluster of a provider whose answers may say what is left of its limits
  struct bytes broken;   // the error, in the provider's API, in the place of an answer that is none
  struct bytes refused;  // the one in the place of what a provider says of its key
  struct bytes failed;   // the one in the place of what an engine says of its own failure; of engines alone
  struct bytes unloaded; // the one of an adapter that an engine has not loaded; of engines alone
  struct bytes again;    // seconds until another try then
  struct bytes *keep;    // the request headers that may leave; all others stay here
  size_t keep_count;
  struct named_error *errors;
  size_t error_count;
  struct provider_key *key; // NULL: none is sent
  char text[];
};

// NULL where there is no memory, or a line is none of these.
struct attempt_settings *attempt_settings_read(struct bytes text);
void attempt_settings_free(struct attempt_settings *settings);

#endif
