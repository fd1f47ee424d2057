// An attempt's request, made right for the provider that it goes to, whatever the attempt before left.

#ifndef HEADGATE_MODULE_ATTEMPT_REQUEST_H
#define HEADGATE_MODULE_ATTEMPT_REQUEST_H

#include "attempt_settings.h"

enum prepared { PREPARED, HAS_NO_KEY, HAS_NO_MEMORY };

// But for PREPARED the request must not go on.
enum prepared prepare_request(const struct attempt_settings *settings, void *envoy);

#endif
