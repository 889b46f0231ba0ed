/* fuzz_licence.c - any bytes as a model card, and as an adapter whose header says its licence. */
#include <stdlib.h>
#include <string.h>

#include "coordinator/campaign/licence.h"
#include "coordinator/campaign/licence_card.h"
#include "tests/fuzz/memory_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    LicenceCard card;
    LicenceParts parts = {0};
    char path[64];
    if (size > LICENCE_CARD_BYTES) return 0;
    licence_card_parse((const char *)data, size, &card);
    for (int i = 0; i < card.count; i++)
        if (!card.part[i] || !card.part_licence[i]) abort();
    licence_card_clear(&card);
    const int f = memory_file(data, size, path);
    if (f < 0) return 0;
    licence_add_adapter(path, &parts);
    for (int i = 0; i < parts.count; i++)
        if (!parts.part[i].licence || !parts.part[i].training) abort();
    json_decref(licence_to_json(&parts));
    licence_clear_parts(&parts);
    close(f);
    return 0;
}
