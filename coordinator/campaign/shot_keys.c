#include "shot_keys.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "coordinator/campaign/cameo.h"
#include "coordinator/campaign/media.h"

/* Several pictures or adapters are one key. */
static bool ends_with(const char *list, const char *key)
{
    const size_t all = strlen(list), bytes = strlen(key);
    return all >= bytes && strcmp(list + all - bytes, key) == 0;
}

static void note_columns(const Template *t, const char *key, char **keys)
{
    for (int i = 0, column; t && (column = template_column(t, i)) != TEMPLATE_END; i++) {
        if (column < 0 || (keys[column] && ends_with(keys[column], key))) continue;
        char *longer = keys[column] ? text_format("%s, %s", keys[column], key) : text_copy(key);
        free(keys[column]);
        keys[column] = longer;
    }
}

char **shot_keys_find(const CampaignLoad *l)
{
    char **keys = memory_get((size_t)l->campaign->customers.column_count + 1, sizeof *keys);
    note_columns(l->prompt, "prompt", keys);
    note_columns(l->negative, "negative", keys);
    note_columns(l->seed, "seed", keys);
    note_columns(l->trunk, "reuse.trunk_prompt", keys);
    for (int slot = 0; slot < campaign_media_slots(); slot++)
        note_columns(campaign_media_template(l->media, slot), campaign_media_key(l->media, slot), keys);
    note_columns(campaign_cameo_template(l->cameo), "cameo", keys);
    return keys;
}

void shot_keys_free(char ***keys, int columns)
{
    for (int i = 0; *keys && i < columns; i++) free((*keys)[i]);
    free(*keys);
    *keys = NULL;
}
