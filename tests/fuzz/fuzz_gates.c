/* fuzz_gates.c - any bytes as a file of gate sets, as a set in JSON, and as a Video-Code: read or refused, and what is read is written again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "coordinator/campaign/gate_set.h"
#include "worker/gate/gate.h"
#include "worker/proof/fingerprint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), again[FINGERPRINT_TEXT], *json;
    GateSetList *list = memory_get(1, sizeof *list);
    Faults *faults = faults_new();
    GateSet set;
    Fingerprint f, back;
    if (!text) return 0;
    memcpy(text, data, size);
    text[size] = 0;
    gate_set_list_parse("gates.yaml", text, size, faults, list);
    if (faults_count(faults) == 0)
        for (int i = 0; i < list->count; i++) {
            if (failed(gate_set_json(list, list->set[i].name, &json))) continue;
            if (failed(gate_set_parse(json, &set))) abort(); /* what one half writes the other reads */
            free(json);
        }
    gate_set_parse(text, &set);
    if (!failed(fingerprint_parse(text, &f))) {
        fingerprint_text(&f, 256, again);
        if (failed(fingerprint_parse(again, &back)) || fingerprint_distance(&f, &back) != 0) abort();
    }
    faults_free(&faults);
    free(list);
    free(text);
    return 0;
}
