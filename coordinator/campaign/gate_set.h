/* gate_set.h - the bounds of the quality gates: configs/gates.yaml, whose text is compiled into the program, or a file of one's own in
 * the same form. A worker is given them as JSON (worker/gate/gate.h). */
#ifndef REELWRIGHT_GATE_SET_H
#define REELWRIGHT_GATE_SET_H

#include <stddef.h>

#include "common/gates.h"
#include "coordinator/campaign/faults.h"

enum { GATE_SET_MAX = 32 };

typedef struct {
    int count;
    struct {
        char name[32];
        GateBounds bound[GATE_COUNT]; /* NAN = none */
    } set[GATE_SET_MAX];
} GateSetList;

/* What is wrong goes to faults. */
void gate_set_list_parse(const char *file, const char *text, size_t bytes, Faults *faults, GateSetList *out);
/* The compiled-in ones: parsed at the first call, never freed. */
const GateSetList *gate_set_list(void);
/* {"black": {"hold": 0.05, "fail": 0.5}, ...} of the named set, free() it. ERR_INPUT lists the sets there are. */
Status gate_set_json(const GateSetList *list, const char *name, char **out);

/* The compiled-in file. */
extern const char gate_set_text[];
extern const size_t gate_set_text_bytes;

#endif
