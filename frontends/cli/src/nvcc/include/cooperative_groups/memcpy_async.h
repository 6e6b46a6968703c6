// All of it is in cooperative_groups.h.
#include "../cooperative_groups.h"
