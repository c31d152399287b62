const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/**
 * JSON with line breaks and indentation. It works on the text: reading it into values would round integers of 64 bits and
 * drop repeated members.
 */
export function indented(json: string): string {
  const tokens = json.match(TOKENS) ?? [];
  let depth = 0;
  let out = "";
  const newline = () => `\n${"  ".repeat(depth)}`;
  tokens.forEach((token, i) => {
    if (token === "{" || token === "[") {
      depth += 1;
      const closes = tokens[i + 1] === "}" || tokens[i + 1] === "]";
      out += closes ? token : token + newline();
    } else if (token === "}" || token === "]") {
      depth -= 1;
      const opened = tokens[i - 1] === "{" || tokens[i - 1] === "[";
      out += opened ? token : newline() + token;
    } else if (token === ",") out += `,${newline()}`;
    else if (token === ":") out += ": ";
    else out += token;
  });
  return out;
}
