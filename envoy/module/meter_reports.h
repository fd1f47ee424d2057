// What an answer's reports of usage say in OpenAI's terms, and what all reports of a stream say together. Part of the meter.

#ifndef HEADGATE_MODULE_METER_REPORTS_H
#define HEADGATE_MODULE_METER_REPORTS_H

#include "meter.h"

// Adds the usage object of the event that was just read to the counts. `is_total`: it is about the whole request.
void meter_take_report(struct meter *meter, bool is_total);

// Of a JSON body, as far as it was read, in place of what it said before.
void meter_take_document(struct meter *meter);

#endif
