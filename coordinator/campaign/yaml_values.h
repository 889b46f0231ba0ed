/* yaml_values.h - one value of a YAML file by the row of the table that describes it: text to number, switch, size,
 * and back to a sentence that says what was expected. */
#ifndef REELWRIGHT_YAML_VALUES_H
#define REELWRIGHT_YAML_VALUES_H

#include "coordinator/campaign/yaml_fields.h"

/* Sets *to, whose type f->type says. in_quotes: so it stands in the file, and is text whatever it looks like. False:
 * not a value of that type and range; *to is as it was, or of no meaning. */
bool yaml_read_value(const YamlField *f, const char *text, bool in_quotes, char *to);
/* "a whole number from 1 to 1000 steps" */
void yaml_describe_expected(const YamlField *f, char *out, size_t room);

#endif
