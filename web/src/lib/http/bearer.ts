// The header that carries a token.

/** The `authorization` header of a token; none without one. */
export const bearer = (token: string | undefined): { authorization?: string } =>
  token === undefined ? {} : { authorization: `Bearer ${token}` };
