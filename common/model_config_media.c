#include <string.h>

#include "common/model_config.h"

/* As diffusers' pipelines: WanImageToVideoPipeline needs a first frame; WanPipeline takes one where each token has a timestep of its
 * own. A model that speaks needs a picture of who speaks. A last frame is for those that have no image encoder or one with places for two pictures. */
ModelMedia model_config_media(const ModelConfig *c)
{
    const bool to_video = strcmp(c->pipeline, "WanImageToVideoPipeline") == 0,
               text_too = strcmp(c->pipeline, "WanPipeline") == 0 && c->expand_timesteps,
               speaks = c->dit.sound_count > 0;
    return (ModelMedia){.image = to_video || text_too || speaks,
                        .needs_image = to_video || speaks,
                        .sound = speaks,
                        .last_image =
                            to_video && !c->expand_timesteps && (c->dit.pos_embed_len > 0 || !c->dit.image_dim),
                        .needs_last_image = to_video && c->dit.pos_embed_len > 0,
                        .control = c->dit.vace_count > 0};
}
