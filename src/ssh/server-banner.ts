/**
 * What our SSH servers are called. OpenSSH's client uses the extensions of OpenSSH only with servers whose
 * name begins so: without it `ssh node yes | head -1` never ends, as nothing signals to the server that its
 * output is not read any more (RFD 30).
 */
export const serverName = 'OpenSSH_Teleport';
/** Without a comment; what our servers announce, and what those of the previous release do. */
export const plainBanners = [`SSH-2.0-${serverName}`, 'SSH-2.0-Teleport'] as const;

const ours = /^SSH-2\.0-(?:OpenSSH_)?Teleport(?: [^\r\n]*)?\r?\n/;
const asking = /^SSH-2\.0-(?:OpenSSH_)?Teleport ask-client-address:([0-9a-f]{32})\r?\n/;

/** What a server's banner says behind its name to ask for a signed address. A comment of RFC 4253, 4.2. */
export const askingComment = (challenge: string): string => `ask-client-address:${challenge}`;

/** Whether a server that begins with this, one whole line at least, is of this product. */
export const isOurBanner = (banner: string): boolean => ours.test(banner);

/** What a banner of ours asks to have signed; undefined when it asks for nothing. */
export const challengeOf = (banner: string): string | undefined => asking.exec(banner)?.[1];
