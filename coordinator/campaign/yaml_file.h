/* yaml_file.h - a YAML file as libyaml's document, for yaml_fields.c: it is read whole, and only when it is sound. */
#ifndef REELWRIGHT_YAML_FILE_H
#define REELWRIGHT_YAML_FILE_H

#include <yaml.h>

#include "common/foreign.h"
#include "coordinator/campaign/yaml_fields.h"

struct Yaml {
    const char *file;
    Faults *faults;
    yaml_document_t document;
    const yaml_node_t *root;
    const char *text;
    size_t bytes;
};

int yaml_line_of(const yaml_node_t *node); /* from 1 */
const yaml_node_t *yaml_node_at(Yaml *y, int index);
const char *yaml_text_of(const yaml_node_t *node); /* of a scalar */
bool yaml_is_text(const yaml_node_t *node);        /* a scalar without zero bytes */
bool yaml_is_plain(const yaml_node_t *node);       /* a scalar without quotes */
bool yaml_is_null(const yaml_node_t *node);        /* nothing, ~ or null */
Quoted yaml_describe(const yaml_node_t *node);     /* for a message: "a list", or the text itself */

#endif
