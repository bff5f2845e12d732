/**
 * The name of our SSH servers. OpenSSH's client uses its own extensions only with servers whose name begins
 * with this: without it `ssh node yes | head -1` never ends, as nothing tells the server that its output is
 * not read any more (RFD 30).
 */
export const serverName = 'OpenSSH_Teleport';
/** Without a comment; announced by our servers, and by those of the previous release. */
export const plainBanners = [`SSH-2.0-${serverName}`, 'SSH-2.0-Teleport'] as const;

const ours = /^SSH-2\.0-(?:OpenSSH_)?Teleport(?: [^\r\n]*)?\r?\n/;
const asking = /^SSH-2\.0-(?:OpenSSH_)?Teleport ask-client-address:([0-9a-f]{32})\r?\n/;

/**
 * The part of a server's banner behind its name that asks for a signed address. A comment of RFC 4253, 4.2.
 */
export const askingComment = (challenge: string): string => `ask-client-address:${challenge}`;

/** Whether a server that begins with this, one whole line at least, is of this product. */
export const isOurBanner = (banner: string): boolean => ours.test(banner);

/** The challenge in a banner of ours; undefined when it has none. */
export const challengeOf = (banner: string): string | undefined => asking.exec(banner)?.[1];
