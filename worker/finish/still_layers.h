/* still_layers.h - what lies over a clip's thumbnail and contact sheet: they leave the house with it, so they carry its label; the thumbnail
 * also what lies over the clip, where there is room for it. */
#ifndef REELWRIGHT_STILL_LAYERS_H
#define REELWRIGHT_STILL_LAYERS_H

#include "worker/finish/extras.h"
#include "worker/finish/stills.h"

Status still_layers_draw(Stills *stills, const Extras *extras);

#endif
