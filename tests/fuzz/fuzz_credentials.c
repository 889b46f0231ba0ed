/* fuzz_credentials.c - any bytes as what the credentials' library says of a file, and as what a measuring command answers: JSON of others'. And where that
 * library is there, any bytes as a signed file. */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/memory_file.h"
#include "worker/proof/credentials.h"
#include "worker/proof/measure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const CredentialsReading *r)
{
    if (strlen(r->clip) >= sizeof r->clip || strlen(r->why) >= sizeof r->why || strlen(r->signer) >= sizeof r->signer)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CredentialsReading r;
    GateSet set;
    GateReport report;
    json_t *said;
    char path[64];
    if (!failed(credentials_take_report((const char *)data, size, &r))) check(&r);
    if (failed(gate_set_parse("{\"face\":{\"hold_low\":60},\"black\":{\"hold\":1}}", &set))) abort();
    Gate *g = gate_begin(&set, (GatePromise){0});
    if (!failed(measure_take((const char *)data, size, g, &said))) json_decref(said);
    gate_end(&g, NULL, &report);
    const int f = memory_file(data, size, path);
    if (f < 0) return 0;
    if (!failed(credentials_read(path, NULL, &r))) check(&r);
    close(f);
    return 0;
}
