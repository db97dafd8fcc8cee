// What messages say to do about a storage whose content is lost or damaged. Any thread.
#pragma once

namespace testudo::net {

// Nobody but the storage knows what this member has signed: whoever goes on without it in the same round
// signs something else there, and is banned for it. It is not to be mended by deleting it.
inline constexpr const char* advice_when_lost =
    "put back a copy, or use another --data directory with a copy of identity.key in it, once the others are "
    "a "
    "round further: this file says what this member has signed, and who signs twice in a round is banned";

}  // namespace testudo::net
