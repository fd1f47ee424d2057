// What a request's record says from its beginning: what authz, the plan and the limiter have written of it.

#ifndef HEADGATE_MODULE_BEGIN_RECORD_H
#define HEADGATE_MODULE_BEGIN_RECORD_H

#include <stdbool.h>

#include "abi.h"
#include "recorder.h"

// Of a request that may go to a provider now; `record` is left as it is where it goes to none. Names are those of the
// spool's fields. False: it should have a record, and can have none.
bool begin_record(struct bytes base, void *envoy, struct record **record);

#endif
