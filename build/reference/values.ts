/** How the kinds of values are written, for both pages. */
export const values = `## Values

| | is written | |
|---|---|---|
| duration | \`250ms\`, \`2s\`, \`1m\`, \`1.5h\` | with its unit |
| size | \`512B\`, \`64KiB\`, \`1MiB\`, \`1GiB\` | with its unit; a KiB is 1024 bytes |
| percentage | \`20%\`, \`0.5%\` | under a key that is itself called \`percent\`, the bare number too |
| key | \`ip\`, \`route\`, \`identity\`, \`header:NAME\`, \`cookie:NAME\`, \`query:NAME\`, \`claim:NAME\` | what tells callers apart; claims are those that \`jwt\` found |
| secret | \`file:PATH\`, \`\${NAME}\`, or the text itself | shown neither by \`check --resolved\` nor by \`/snapshot\` |

In every value \`\${NAME}\` and \`\${NAME:-default}\` stand for the environment. In the options of filters, and in \`respond\`, text that
begins with \`file:\` stands for what is in that file. Paths are relative to the file that names them.
`;
