//! What a batcher does, call by call.
