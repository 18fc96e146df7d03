/** A mesh as people start it, but for its log. Tests leave the rehearsal out. */
export const AS_DEPLOYED = { LOG_LEVEL: 'warn', GATEWAY_REHEARSAL_REQUESTS: '3000' };
