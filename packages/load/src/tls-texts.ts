/** PEM texts. `ca` instead of the system's authorities; `cert` and `key` for a server that asks its clients for a certificate. */
export type TlsTexts = { ca?: string | undefined; cert?: string | undefined; key?: string | undefined };
