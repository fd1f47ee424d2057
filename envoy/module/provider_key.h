// A provider's key, from its file. The file is looked at again every second: a renewed key needs no configuration. The
// key stands in memory only, never in what Envoy can dump. While the file cannot be read, the last key goes on; an
// empty one is no key. Any thread may ask.

#ifndef HEADGATE_MODULE_PROVIDER_KEY_H
#define HEADGATE_MODULE_PROVIDER_KEY_H

#include "abi.h"

struct provider_key;

// NULL: no memory. `prefix` stands in front of the key in its header.
struct provider_key *provider_key_new(struct bytes file, struct bytes prefix);
void provider_key_free(struct provider_key *key);

// Writes the header into the request; false: there is no key.
bool provider_key_send(struct provider_key *key, void *envoy, struct bytes header);

#endif
